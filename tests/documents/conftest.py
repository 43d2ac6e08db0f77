"""What the documents say, tried on the real binary with the fake model. DUNLIN_BINARY names it."""

import importlib.util
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent

_spec = importlib.util.spec_from_file_location("server_of_http_tests", ROOT / "tests/http/conftest.py")
_http = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_http)
Server, binary = _http.Server, _http.binary

APP = "https://app.example"
ENDPOINT = re.compile(r'^ENDPOINT\((\w+), "([^"]+)", (\w+), (true|false), (\w+), "([^"]+)"\)$', re.M)


def endpoints():
    """(method, path) of each row of the table that the router is made from; "{id}" for every parameter."""
    rows = ENDPOINT.findall((ROOT / "src/api/endpoints.def").read_text())
    assert rows
    return [(method, path.replace("...}", "}")) for method, path, *_ in rows]


def new_key(name):
    """(key, its lines for config.toml)."""
    made = subprocess.run([binary(), "keys", "new", name], capture_output=True, text=True, timeout=60, check=True)
    return re.search(r"^ {4}(dl-\S+)$", made.stderr, re.M)[1], made.stdout


def start(folder, text="", model="fake:step_us=0"):
    """A server with these settings; its sessions are in the folder."""
    (folder / "dunlin").mkdir(parents=True)
    (folder / "dunlin/config.toml").write_text(text)
    return Server(folder, model, XDG_CONFIG_HOME=str(folder), XDG_DATA_HOME=str(folder))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Open to everybody, and to the pages of one other origin."""
    one = start(tmp_path_factory.mktemp("server"), f'[security]\ncors_origins = ["{APP}"]\n')
    yield one.wait()
    one.end()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    """One that wants a key: `key`."""
    key, lines = new_key("reader")
    one = start(tmp_path_factory.mktemp("guarded"), lines)
    one.key = key
    yield one.wait()
    one.end()
