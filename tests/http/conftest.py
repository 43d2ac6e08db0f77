"""Starts the real binary on a free port. DUNLIN_BINARY names it; DUNLIN_MODEL a real model file."""

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


def binary():
    given = os.environ.get("DUNLIN_BINARY")
    found = [given] if given else [str(p) for p in sorted(ROOT.glob("build/*/dunlin"))]
    if not found:
        pytest.fail("no dunlin binary: build one or set DUNLIN_BINARY")
    return found[0]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, folder, port=None):
        self.port = port or free_port()
        self.log = open(folder / "server.log", "w+")
        self.process = subprocess.Popen(
            [binary(), "serve", "--model", MODEL, "--port", str(self.port)],
            stdout=self.log, stderr=subprocess.STDOUT)

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

    def metric(self, name):
        """The sum of a family's series."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)$", text, re.M))

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


@pytest.fixture
def client(server):
    return OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0, timeout=120)


@pytest.fixture
def model(client):
    return client.models.list().data[0].id
