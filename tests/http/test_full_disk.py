"""A disk that is really full: answers go on, what cannot be stored is not acknowledged, nothing stored before is lost,
and room is all that is needed to go on."""

import errno
import json
import os
import subprocess

import pytest
import websockets.sync.client as ws
from conftest import Server, fake_only
from test_sessions import call, history, make, say

MAY_MOUNT = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode == 0
pytestmark = [fake_only, pytest.mark.skipif(not MAY_MOUNT, reason="only root may mount a small disk")]

# The server sees a small disk of its own where its data are; /proc shows it to the test.
INSIDE = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4m,mode=0700 tmpfs "$0" && exec "$@"']


@pytest.fixture(params=["sqlite", "json"])
def small(request, tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    one = Server(tmp_path, "fake:step_us=20000", inside=[*INSIDE, str(data)],
                 DUNLIN_SERVER__DATA_DIR=str(data), DUNLIN_SESSIONS__STORE=request.param)
    one.wait().filler = f"/proc/{one.process.pid}/root{data}/filler"
    yield one
    one.end()


def fill(server):
    with open(server.filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as full:
            assert full.errno == errno.ENOSPC


def test_a_full_disk(small):
    kept = make(small, title="kept")["id"]
    say(small, kept, "the first question")
    before = history(small, kept)
    fill(small)

    long = "x" * 8000
    for method, path, body in [
        ("POST", "/sessions", {"system": long}),
        ("PATCH", f"/sessions/{kept}", {"system": long}),
        ("POST", "/v1/chat/completions",
         {"session_id": kept, "messages": [{"role": "user", "content": long}], "max_tokens": 4}),
    ]:
        status, answer = call(small, method, path, body)
        assert (status, answer["error"]["code"]) == (507, "disk_full"), (path, answer)
        assert "disk is full" in answer["error"]["message"] or "No space left" in answer["error"]["message"]
    status, answer = call(small, "POST", "/v1/chat/completions",
                          {"messages": [{"role": "user", "content": "without a session"}], "max_tokens": 4})
    assert status == 200, answer
    assert history(small, kept) == before

    os.remove(small.filler)
    say(small, kept, "the second question")
    assert [one["content"] for one in history(small, kept)["data"] if one["role"] == "user"] == \
        ["the first question", "the second question"]


def test_a_disk_that_fills_during_an_answer(small):
    session = make(small)["id"]
    with ws.connect(small.url.replace("http", "ws") + "/chat/ws") as socket:
        ask = {"type": "chat", "session_id": session, "message": "go on", "params": {"max_tokens": 50, "ignore_eos": True}}
        socket.send(json.dumps(ask))
        text = ""
        while (got := json.loads(socket.recv(timeout=30)))["type"] != "done":
            assert got["type"] in ("queued", "start", "token"), got
            text += got.get("text", "")
            if got["type"] == "start":
                fill(small)
        assert (got["finish_reason"], got["saved"], text != "") == ("length", False, True)
    # The server keeps the answer until there is room.
    os.remove(small.filler)
    assert small.eventually(lambda: history(small, session)["data"][1]["status"] == "complete")
    assert history(small, session)["data"][1]["content"] == text
