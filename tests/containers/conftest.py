"""The real binary with the fake model, and the real Prometheus reading it as deploy/ says. DUNLIN_BINARY and PROMETHEUS
(a folder with prometheus and promtool) name them."""

import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"
for name in [name for name in os.environ if name.startswith("DUNLIN_") and "__" in name]:
    del os.environ[name]
open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def tool(name):
    return str(pathlib.Path(os.environ["PROMETHEUS"]) / name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def eventually(check, within_s):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if check():
                return True
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def running(command, log, ready_url):
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            def ready():
                assert process.poll() is None, log.read_text()
                with open_url(ready_url, timeout=2) as answer:
                    return answer.status == 200
            assert eventually(ready, 60), log.read_text()
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask(port, **more):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"messages": [{"role": "user", "content": "What is gravity, and why does it hold? " * 4}], "max_tokens": 30}
    connection.request("POST", "/v1/chat/completions", json.dumps({**body, **more}))
    with contextlib.closing(connection):
        return connection.getresponse().read()


class Load:
    """A little of everything, until stop(): answers of several ends, errors, pages, clients that leave."""

    def __init__(self, port):
        self.port, self.ended = port, threading.Event()
        self.threads = [threading.Thread(target=self.go, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def go(self, number):
        while not self.ended.is_set():
            ask(self.port, stream=number % 2 == 0)
            ask(self.port, model="unknown" if number == 0 else None)
            for path in ("/", "/v1/models", "/readiness", "/no-such-path"):
                with contextlib.suppress(OSError), open_url(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    answer.read()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)


class Prometheus:
    def __init__(self, port):
        self.port = port

    def get(self, path, **parameters):
        with open_url(f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """[(labels, value)] now, without what is not a number."""
        found = self.get("/api/v1/query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found if one["value"][1] != "NaN"]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("server") / "log"
    # One step fails, so that there is an error of the server's own to count.
    command = [os.environ["DUNLIN_BINARY"], "serve", "--model", "fake:step_us=2000,fail_at_step=50", "--port", str(port)]
    with running(command, log, f"http://127.0.0.1:{port}/health"):
        yield port


@pytest.fixture(scope="session")
def prometheus(server, tmp_path_factory):
    """deploy/prometheus as it stands, but for the place of the server and how often it is asked."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy/prometheus" / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{server}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
               f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, folder / "log", f"http://127.0.0.1:{port}/-/ready"):
        yield Prometheus(port)


@pytest.fixture(scope="session")
def loaded(server, prometheus):
    """Prometheus, which has watched the server under load for some seconds, and still does."""
    load = Load(server)
    try:
        assert eventually(lambda: prometheus.query("count_over_time(up[1m]) >= 12"), 60)
        yield prometheus
    finally:
        load.stop()
