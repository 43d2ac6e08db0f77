"""Clients that leave, and what /readiness says: with fake models that are slow, hang, or do not load."""

import http.client
import json
import os
import pathlib
import shutil
import threading
import time

import pytest
from conftest import ENGINE, fake_only, real_only
from test_server import request

STEP_S = 0.3
SLOW = f"fake:step_us={int(STEP_S * 1e6)},sequences_max=1,step_tokens_max=32"


def ask(server, text="Hello", **more):
    """Sends a request that takes long; the connection is the caller's to close."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 500, "ignore_eos": True}
    connection.request("POST", "/v1/chat/completions", json.dumps({**body, **more}))
    return connection


def readiness(server):
    answer, text = request(server, "GET", "/readiness")
    return answer.status, json.loads(text)


def running(server):
    return server.metric("dunlin_sequences_running")


def queued(server):
    return server.metric("dunlin_sequences_queued")


@fake_only
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("phase", ["decode", "prefill", "queue"])
def test_a_client_that_leaves_frees_its_place_within_a_step(start, phase, stream):
    server = start(SLOW)
    first = ask(server, stream=True) if phase == "queue" else None
    if first:
        assert server.eventually(lambda: running(server) == 1)
    text = "x" * 7000 if phase == "prefill" else "Hello"  # 7,000 tokens are some 220 steps
    mine = ask(server, text, stream=stream)
    waits = queued if phase == "queue" else running
    assert server.eventually(lambda: waits(server) == 1)
    time.sleep(2 * STEP_S)
    assert waits(server) == 1
    mine.close()
    left = time.monotonic()
    assert server.eventually(lambda: waits(server) == 0, within_s=5)
    assert time.monotonic() - left < 2 * STEP_S + 0.5  # the step under way, and a slow machine
    assert server.eventually(lambda: server.metric("dunlin_http_requests_total", status=499) == 1)
    assert server.metric("dunlin_requests_total", outcome="cancelled") == 1
    if first:
        assert running(server) == 1  # another's answer goes on
        first.close()
        assert server.eventually(lambda: running(server) == 0, within_s=5)


@fake_only
def test_a_client_that_leaves_during_a_load_starts_nothing(start):
    server = start("fake:load_ms=1000")
    mine = ask(server)
    assert server.eventually(lambda: readiness(server)[1]["models"][0]["state"] == "loading")
    mine.close()
    assert server.eventually(lambda: readiness(server)[1]["models"][0]["state"] == "loaded")
    time.sleep(0.2)
    assert running(server) == 0 and server.metric("dunlin_requests_total") == 0


@fake_only
def test_ready_before_and_after_the_first_load(start):
    server = start("fake:load_ms=700")
    assert readiness(server) == (200, {"status": "ready", "models": [
        {"id": "fake", "state": "on_disk", "able": True, "reason": None},
        *readiness(server)[1]["models"][1:]]})
    mine = ask(server, max_tokens=1)
    assert server.eventually(lambda: readiness(server)[1]["models"][0]["state"] == "loading")
    assert readiness(server)[0] == 200
    assert mine.getresponse().status == 200
    assert readiness(server)[0] == 200 and readiness(server)[1]["models"][0]["state"] == "loaded"


@fake_only
def test_not_ready_after_a_failed_load(start):
    server = start("fake:fail_load=1")
    assert readiness(server)[0] == 200
    answer = ask(server).getresponse()
    assert answer.status == 500 and answer.headers["x-should-retry"] == "false"
    assert json.load(answer)["error"]["code"] == "corrupt"
    status, body = readiness(server)
    assert status == 503 and body["status"] == "not_ready"
    assert body["models"][0]["state"] == "failed" and "told not to load" in body["models"][0]["reason"]
    assert request(server, "GET", "/health")[0].status == 200


@fake_only
def test_not_ready_without_its_file(start, tmp_path):
    server = start(None, XDG_CACHE_HOME=str(tmp_path))
    status, body = readiness(server)
    assert status == 503 and body["models"][0]["state"] == "not_downloaded"
    assert "fetch-model" in body["models"][0]["reason"]
    answer = ask(server).getresponse()
    assert answer.status == 503 and "fetch-model" in json.load(answer)["error"]["message"]


@fake_only
def test_not_ready_while_the_engine_hangs(start):
    server = start("fake:hang_at_step=4")
    mine = ask(server, stream=True)
    began = time.monotonic()
    assert readiness(server)[0] == 200
    assert server.eventually(lambda: readiness(server)[0] == 503, within_s=13)
    assert time.monotonic() - began > 9
    assert "no step" in readiness(server)[1]["models"][0]["reason"]
    assert request(server, "GET", "/health")[0].status == 200
    mine.close()
    server.process.kill()  # nothing ends a step that hangs


@fake_only
def test_draining_says_so_and_finishes(start):
    server = start("fake:step_us=100000")
    mine = ask(server, stream=True, max_tokens=15)
    answer = mine.getresponse()
    assert answer.readline().startswith(b"data: ")
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    kept.request("GET", "/health")
    kept.getresponse().read()
    server.terminate()
    assert server.eventually(lambda: readiness(server)[0] == 503, within_s=1)
    assert readiness(server)[1]["status"] == "draining"
    refused = ask(server).getresponse()
    assert refused.status == 503 and refused.headers["Retry-After"] == "1"
    kept.request("GET", "/health")
    assert kept.getresponse().headers["Connection"] == "close"
    assert answer.read().rstrip().endswith(b"data: [DONE]")
    assert server.process.wait(10) == 0


@fake_only
def test_a_failed_step_reaches_the_client(start):
    server = start("fake:fail_at_step=1")
    answer = ask(server, stream=True).getresponse()  # the head waits for the first event
    frames = answer.read().decode().split("\n\n")
    assert answer.status == 200 and json.loads(frames[-3][6:])["error"]["code"] == "device_lost"
    assert frames[-2] == "data: [DONE]"
    assert ask(server, max_tokens=1).getresponse().status == 200
    server = start("fake:fail_at_step=4")
    answer = ask(server).getresponse()
    assert answer.status == 503 and answer.headers["Retry-After"]
    assert server.metric("dunlin_errors_total", code="device_lost") == 1


@pytest.fixture
def model_copy(tmp_path):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(cache / "dunlin/models/SmolLM2-135M-Instruct.Q4_1.gguf", copy)
    return copy


def answer_of(server):
    answer = ask(server, max_tokens=8, temperature=0).getresponse()
    body = json.load(answer)
    return body["choices"][0]["message"] if answer.status == 200 else body["error"]


def cut(file, size=1000):
    with open(file, "r+b") as one:
        one.truncate(size)


copied_weights_only = pytest.mark.skipif(ENGINE == "llama.cpp", reason="llama.cpp computes from the mapped file")
mapped_weights_only = pytest.mark.skipif(ENGINE != "llama.cpp", reason="the native engine has copied the file")


@copied_weights_only
@real_only
def test_a_file_cut_short_while_serving_changes_nothing(start, model_copy):
    server = start(model_copy)
    before = answer_of(server)
    cut(model_copy)
    assert answer_of(server) == before
    assert ask(server, "Another question", max_tokens=20).getresponse().status == 200
    assert readiness(server)[0] == 200 and server.process.poll() is None


@mapped_weights_only
@real_only
def test_a_file_cut_short_while_serving_is_told_until_it_is_whole(start, model_copy):
    server = start(model_copy)
    before = answer_of(server)
    whole = model_copy.read_bytes()
    cut(model_copy)
    error = answer_of(server)
    assert error["code"] == "device_lost" and "file changed while it was in use" in error["message"]
    again = ask(server).getresponse()
    message = json.load(again)["error"]["message"]
    assert again.status == 503 and int(again.headers["Retry-After"]) >= 1
    assert "the file ends inside" in message or "longer than the rest of the file" in message
    assert request(server, "GET", "/health")[0].status == 200 and server.process.poll() is None
    model_copy.write_bytes(whole)
    assert server.eventually(lambda: answer_of(server) == before, within_s=20)


@mapped_weights_only
@real_only
@pytest.mark.parametrize("how", ["cut", "other bytes"])
def test_a_file_that_changes_in_mid_stream_ends_that_answer_with_the_reason(start, model_copy, how):
    server = start(model_copy)
    answer = ask(server, stream=True, max_tokens=1500).getresponse()
    assert [answer.readline() for _ in range(9)][8].startswith(b"data: ")
    if how == "cut":
        cut(model_copy)
    else:
        with open(model_copy, "r+b") as file:
            file.write(b"GGUF")
    *_, last, done = answer.read().decode().strip().split("\n\n")
    error = json.loads(last.strip().removeprefix("data: "))["error"]
    assert error["code"] == "device_lost" and done == "data: [DONE]"
    assert "file changed while it was in use" in error["message"] or "was cut short" in error["message"]
    if how == "other bytes":
        assert "content" in answer_of(server)  # what lies there now was loaded
    assert request(server, "GET", "/health")[0].status == 200 and server.process.poll() is None


@real_only
def test_a_file_cut_short_before_its_load_is_refused(start, model_copy):
    server = start(model_copy)
    cut(model_copy, model_copy.stat().st_size - 1)
    answer = ask(server).getresponse()
    assert answer.status == 500 and "beyond the end" in json.load(answer)["error"]["message"]
    assert readiness(server)[0] == 503 and request(server, "GET", "/health")[0].status == 200


@real_only
@pytest.mark.parametrize("wait_s", [0.02, 0.1, 0.3])
def test_a_file_cut_short_during_its_load_ends_nothing(start, model_copy, wait_s):
    server = start(model_copy)
    threading.Timer(wait_s, cut, (model_copy, 100_000)).start()
    answer = ask(server, max_tokens=2).getresponse()
    if answer.status != 200:
        message = json.load(answer)["error"]["message"]
        assert answer.status == 500 and ("changed while it was read" in message or "beyond the end" in message) or (
            ENGINE == "llama.cpp" and answer.status == 503 and "changed while it was in use" in message)
    assert request(server, "GET", "/health")[0].status == 200 and server.process.poll() is None
