"""Starts the echo server. DUNLIN_ECHO names its program."""

import os
import pathlib
import subprocess
import time

import pytest
import raw

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Echo:
    def __init__(self, folder):
        program = os.environ.get("DUNLIN_ECHO", ROOT / "build/dev/websocket_echo")
        self.log = folder / "served.txt"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=log)
        deadline = time.monotonic() + 20
        while not (lines := self.log.read_text().splitlines()):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        self.port = int(lines[0])

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/"

    def served(self):
        return [line.split()[1:] for line in self.log.read_text().splitlines()[1:]]

    def memory_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self):
        """Seconds that it took to end."""
        began = time.monotonic()
        self.process.stdin.close()
        try:
            assert self.process.wait(20) == 0
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        return time.monotonic() - began


@pytest.fixture(scope="session")
def echo(tmp_path_factory):
    one = Echo(tmp_path_factory.mktemp("echo"))
    yield one
    one.stop()


@pytest.fixture
def own_echo(tmp_path):
    one = Echo(tmp_path)
    yield one
    if one.process.poll() is None:
        one.stop()


@pytest.fixture
def connect(echo):
    """Opens sockets by hand; afterwards the server must still serve."""
    opened = []

    def one():
        opened.append(raw.Raw(echo.port))
        return opened[-1]
    yield one
    for socket in opened:
        socket.end()
    last = raw.Raw(echo.port)
    last.send(raw.frame(raw.TEXT, "alive"))
    assert last.receive() == (raw.TEXT, b"alive")
    last.end()
