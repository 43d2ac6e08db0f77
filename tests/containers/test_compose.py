"""docker-compose.yml beside the published schema, and what it promises: hardened, on this machine alone, no surprises."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = ["llm-cpu", "llm-gpu"]
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def dunlin(*arguments, **environment):
    return subprocess.run([os.environ["DUNLIN_BINARY"], *arguments], capture_output=True, text=True, timeout=60,
                          check=False, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment})


def test_it_is_what_the_compose_specification_describes(tmp_path):
    def check(path):
        return subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path],
                              capture_output=True, text=True, timeout=60, check=False)
    good = check(COMPOSE)
    assert good.returncode == 0, good.stdout
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(COMPOSE.read_text().replace("read_only:", "readonly:"))
    assert check(wrong).returncode != 0  # the schema does look


def test_the_services_are_these():
    assert set(SERVICES) == {"llm-cpu", "llm-gpu", "prometheus", "grafana"}
    assert SERVICES["llm-gpu"]["profiles"] == ["gpu"]
    assert all("profiles" not in SERVICES[name] for name in SERVICES if name != "llm-gpu")
    assert not any("depends_on" in service for service in SERVICES.values())  # `up llm-cpu` starts it alone


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name):
    service = SERVICES[name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped" and service["healthcheck"]["test"][0] == "CMD"
    assert service["pids_limit"] and "mem_limit" in service and service["tmpfs"]
    assert not {"privileged", "network_mode", "cap_add", "pid", "user"} & set(service)
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name):
    image = SERVICES[name]["image"]
    if name in OURS:
        assert (ROOT / SERVICES[name]["build"].get("dockerfile", "Dockerfile")).is_file()
    else:
        assert re.search(r":v?\d+\.\d+\.\d+$", image), image


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_from_the_repository_is_there_and_read_only(name):
    for volume in SERVICES[name]["volumes"]:
        source, _, rest = VARIABLE.sub(lambda found: found[2], volume).partition(":")
        if source.startswith("."):
            assert (ROOT / source).is_dir(), volume
            assert rest.endswith(":ro"), volume
        else:
            assert source in yaml.safe_load(COMPOSE.read_text())["volumes"], volume


def test_one_container_has_the_time_to_finish():
    """Longer than the server takes at most, so that nothing is killed in the middle of an answer."""
    text = dunlin("check-config", "--show").stdout
    drain_s = int(re.search(r"drain_s = (\d+)", text)[1])
    for name in OURS:
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > drain_s


@pytest.mark.parametrize("name", OURS)
def test_the_program_knows_the_settings(name, tmp_path):
    """Those of the image, of docker-compose.yml, of .env.example and of the file that is mounted, all together."""
    image = dict(re.findall(r"\b(DUNLIN_\w+__\w+)=(\S+)",
                            (ROOT / SERVICES[name]["build"].get("dockerfile", "Dockerfile")).read_text()
                            .split("\nENV ")[-1]))
    environment = SERVICES[name]["environment"]
    given = dict(re.findall(r"^#?(DUNLIN_\w+__\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    assert set(given) == {key for key, value in environment.items() if value is None}
    model = tmp_path / "my-model.gguf"
    model.write_bytes(b"GGUF")
    image["DUNLIN_MODELS__FOLDER"] = str(tmp_path)  # /models there
    fixed = {key: value for key, value in environment.items() if value is not None}
    config = str(ROOT / "deploy/dunlin/config.toml")
    checked = dunlin("check-config", "--config", config, **{**image, **given, **fixed})
    assert checked.returncode == 0, checked.stderr
    network = dunlin("check-config", "--config", config, **image)
    assert network.returncode == 2 and "allow_unauthenticated_network" in network.stderr  # the image alone is closed


def test_the_commented_example_in_the_mounted_file_is_right(tmp_path):
    text = (ROOT / "deploy/dunlin/config.toml").read_text()
    example = text[text.index("# [limits]"):].replace("# ", "").replace("#", "").replace("/models/", f"{tmp_path}/")
    (tmp_path / "my-model.gguf").write_bytes(b"GGUF")
    (tmp_path / "config.toml").write_text(example)
    checked = dunlin("check-config", "--config", str(tmp_path / "config.toml"))
    assert checked.returncode == 0, checked.stderr


def test_env_example_lists_every_variable_with_its_default():
    used = {name: default for name, default in VARIABLE.findall(COMPOSE.read_text())}
    listed = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    assert listed == used
