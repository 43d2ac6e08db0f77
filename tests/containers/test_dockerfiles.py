"""What holds for both Dockerfiles. The image's own test builds and runs one; this reads them, in a moment."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ["Dockerfile", "Dockerfile.cuda"]
# Instructions of the last stage that must be the same in both, whatever it starts from.
SHARED = ["LABEL", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"]


def instructions(text):
    """[(instruction, its arguments)], lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def stages(name):
    out = []
    for instruction in instructions((ROOT / name).read_text()):
        if instruction[0] == "FROM":
            out.append([])
        if out:
            out[-1].append(instruction)
    return out


def problems(text):
    """What is wrong with a Dockerfile, one line each."""
    found = instructions(text)
    arguments = {key: value for key, _, value in (rest.partition("=") for name, rest in found if name == "ARG")}
    names = set()
    for at, (name, rest) in enumerate(found):
        if name == "FROM":
            image, _, stage = rest.partition(" AS ")
            image = re.sub(r"\$\{(\w+)\}", lambda one: arguments.get(one[1], ""), image)
            if image != "scratch" and image not in names and not re.search(r":[^:/]*\d+\.\d+[^:/]*$|@sha256:", image):
                yield f"{image} is not pinned"
            names.add(stage)
            last = at
        if name == "ADD":
            yield "ADD may fetch and unpack; COPY says what it does"
        if name == "RUN" and "apt-get install" in rest:
            yield "packages are listed in scripts/setup alone"
        if name == "RUN" and re.search(r"\b(curl|wget)\b|\bsudo\b", rest):
            yield f"RUN {rest}: what is fetched is not pinned"
    final = dict(found[last:])
    users = [rest for name, rest in found[last:] if name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        yield "the last USER is not a number above 0, so that nobody can check that it is not root"
    for name in ("HEALTHCHECK", "STOPSIGNAL", "EXPOSE", "ENTRYPOINT", "CMD"):
        if name not in final:
            yield f"{name} is missing"
    for name in ("ENTRYPOINT", "CMD"):
        if not final.get(name, "[").startswith("["):
            yield f"{name} runs in a shell, which swallows signals"


@pytest.mark.parametrize("name", FILES)
def test_there_is_nothing_to_object_to(name):
    assert list(problems((ROOT / name).read_text())) == []


@pytest.mark.parametrize("before, after, why", [
    (":12.11-slim", ":latest", "not pinned"),
    ("USER 65532:65532", "USER root", "USER"),
    ("USER 65532:65532", "", "USER"),
    ("COPY . .", "ADD https://example.org/source.tar /", "ADD"),
    ("HEALTHCHECK", "LABEL", "HEALTHCHECK"),
    ('ENTRYPOINT ["dunlin"]', "ENTRYPOINT dunlin", "shell"),
    ("RUN scripts/setup --serve", "RUN apt-get install -y cmake", "scripts/setup"),
])
def test_what_is_wrong_is_found(before, after, why):
    text = (ROOT / "Dockerfile").read_text()
    assert before in text
    assert any(why in problem for problem in problems(text.replace(before, after)))


def test_both_run_the_same_way():
    cpu, cuda = ([one for one in stages(name)[-1] if one[0] in SHARED] for name in FILES)
    assert cpu == cuda and len(cpu) == len(SHARED)


def test_the_version_is_the_projects():
    version = re.search(r"project\(dunlin VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    for name in FILES:
        assert ("ARG", f"DUNLIN_VERSION={version}") in stages(name)[-1]


def test_compose_asks_the_same_question_as_the_image():
    health = next(rest for name, rest in stages("Dockerfile")[-1] if name == "HEALTHCHECK")
    assert health.endswith('CMD ["dunlin", "health"]')
    assert 'test: ["CMD", "dunlin", "health"]' in (ROOT / "docker-compose.yml").read_text()


def test_what_is_copied_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [path for name in FILES for stage in stages(name) for instruction, rest in stage
              if instruction == "COPY" and "--from" not in rest for path in rest.split()[:-1]]
    for path in copied:
        assert (ROOT / path).exists() and path not in ignored
    assert {".git", "build", "**/node_modules", "**/target"} <= set(ignored)
