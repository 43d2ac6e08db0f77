"""Starts the real binary on a free port. DUNLIN_BINARY names it; DUNLIN_MODEL a real model file; DUNLIN_ENGINE, no setting
but the tests' own, the engine that the servers are to compute it with."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from openai import OpenAI

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = os.environ.get("DUNLIN_MODEL", "fake")
ENGINE = os.environ.get("DUNLIN_ENGINE", "auto")

# What the developer has set for himself must not change the tests.
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"
os.environ["XDG_DATA_HOME"] = "/nonexistent"
for name in [name for name in os.environ if name.startswith("DUNLIN_") and "__" in name]:
    del os.environ[name]


def binary():
    given = os.environ.get("DUNLIN_BINARY")
    built = sorted(ROOT.glob("build/*/dunlin"), key=lambda path: path.stat().st_mtime)
    if not given and not built:
        pytest.fail("no dunlin binary: build one or set DUNLIN_BINARY")
    return given or str(built[-1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, folder, model=MODEL, inside=(), **environment):
        """`model` None: the built-in list. `inside`: a command that ends by running the one given to it."""
        self.port = free_port()
        self.log = open(folder / "server.log", "w+")
        named = ["--model", str(model)] if model else []
        self.process = subprocess.Popen(
            [*inside, binary(), "serve", *named, "--port", str(self.port)],
            stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, "DUNLIN_SERVER__DATA_DIR": str(folder / "data"),
                 "DUNLIN_MODELS__ENGINE": ENGINE, **environment})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended: {self.output()}")
            try:
                urllib.request.urlopen(self.url + "/health", timeout=2).close()
                return self
            except OSError:
                time.sleep(0.05)
        pytest.fail(f"the server did not start: {self.output()}")

    def output(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def metric(self, name, **labels):
        """The sum of a family's series that have these labels."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(value)
                   for inside, value in re.findall(rf"^{name}(?:{{([^\n]*)}})? (\S+)$", text, re.M)
                   if all(f'{key}="{wanted}"' in inside for key, wanted in labels.items()))

    def raw(self, data, wait_s=10):
        """Sends bytes, and returns all that comes until the server closes or stays silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as one:
            answer = b""
            try:
                one.sendall(data)
                while part := one.recv(65536):
                    answer += part
            except (TimeoutError, ConnectionResetError, BrokenPipeError):
                pass
            return answer

    def eventually(self, check, within_s=10):
        """Whether `check` comes true in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if check():
                return True
            time.sleep(0.02)
        return False

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("server"))
    yield one.wait()
    one.end()


@pytest.fixture
def own_server(tmp_path):
    one = Server(tmp_path)
    yield one.wait()
    one.end()


fake_only = pytest.mark.skipif(MODEL != "fake", reason="does not depend on the model")
real_only = pytest.mark.skipif(MODEL == "fake", reason="needs a model file")


@pytest.fixture
def start(tmp_path):
    """Starts servers with a model of the test's own."""
    started = []

    def one(model, **environment):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Server(folder, model, **environment))
        return started[-1].wait()
    yield one
    for server in started:
        server.end()


@pytest.fixture
def client(server):
    return OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0, timeout=120)


@pytest.fixture
def model(client):
    return client.models.list().data[0].id
