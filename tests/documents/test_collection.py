"""The Postman collection, run by Postman's own newman against the real binary."""

import importlib.util
import json
import subprocess

import pytest
from conftest import HERE, ROOT

FILE = ROOT / "postman_collection.json"


def newman(server, folder, *options):
    report = folder / "report.json"
    done = subprocess.run(
        ["node", str(HERE / "node_modules/newman/bin/newman.js"), "run", str(FILE), "--env-var", f"base_url={server.url}",
         "--reporters", "cli,json", "--reporter-json-export", str(report), "--timeout", "120000", "--color", "off",
         *options], capture_output=True, text=True, timeout=180, cwd=folder)
    return done, json.loads(report.read_text())["run"]


def count(item):
    return sum(map(count, item["item"])) if "item" in item else 1


def check(done, run):
    assert done.returncode == 0, done.stdout + done.stderr
    assert not run["failures"]
    requests = count(json.loads(FILE.read_text()))
    assert run["stats"]["requests"]["total"] == requests
    # Status and shape, of each.
    assert run["stats"]["assertions"]["total"] == 2 * requests


def test_it_runs_from_top_to_bottom(server, tmp_path):
    check(*newman(server, tmp_path))


def test_it_sends_the_key(guarded, tmp_path):
    check(*newman(guarded, tmp_path, "--env-var", f"api_key={guarded.key}"))


def test_it_fails_with_a_wrong_key(guarded, tmp_path):
    done, run = newman(guarded, tmp_path)
    assert done.returncode != 0
    assert any("401" in failure["error"]["message"] for failure in run["failures"])


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("postman_collection", ROOT / "tools/postman_collection.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_what_its_tool_writes(tool):
    assert FILE.read_text() == tool.text(ROOT), "run tools/postman_collection.py ."


def test_an_endpoint_without_a_request_is_an_error(tool):
    table = (ROOT / "src/api/endpoints.def").read_text()
    with pytest.raises(SystemExit, match="/new"):
        tool.collection(table + 'ENDPOINT(GET, "/new", make_new, true, Keyed, "New")\n')
