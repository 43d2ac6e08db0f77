"""A model in a process of its own: its end costs the answers that were being computed, and nothing else."""

import contextlib
import json
import os
import pathlib
import signal

import openai
import pytest
from conftest import fake_only
from test_lifecycle import ask, readiness
from test_server import request

pytestmark = fake_only


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.fixture
def hosted(start):
    return start("fake:hosted=1,step_us=20000")


@pytest.fixture
def client(hosted):
    return openai.OpenAI(base_url=hosted.url + "/v1", api_key="x", max_retries=0, timeout=60)


def say(client, **more):
    return client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "hello"}], **more)


def test_an_end_in_mid_stream(hosted, client):
    stream = say(client, max_tokens=1000, stream=True, extra_body={"ignore_eos": True})
    chunks = iter(stream)
    for _ in range(5):
        next(chunks)
    child, = children(hosted.process.pid)
    os.kill(child, signal.SIGABRT)
    with pytest.raises(openai.APIError) as error:
        list(chunks)
    assert error.value.code == "device_lost"
    assert "was ended by signal 6 (Aborted)" in error.value.message
    assert say(client, max_tokens=5).choices[0].finish_reason in ("length", "stop")
    again, = children(hosted.process.pid)
    assert again != child
    assert hosted.process.poll() is None


def test_nobody_notices_an_end_while_nothing_is_computed(hosted, client):
    there = say(client, max_tokens=20, temperature=0).choices[0].message.content
    child, = children(hosted.process.pid)
    os.kill(child, signal.SIGKILL)
    assert say(client, max_tokens=20, temperature=0).choices[0].message.content == there


def test_the_process_ends_with_the_server(hosted, client):
    say(client, max_tokens=2)
    child, = children(hosted.process.pid)
    hosted.process.kill()
    hosted.process.wait()
    assert hosted.eventually(lambda: not pathlib.Path(f"/proc/{child}").exists())


def gone(pid):
    """Whether the process has ended; one that nobody has asked for its end has, too."""
    stat = pathlib.Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z " in stat.read_text()


def held_restart(server):
    """Ends the model's process, asks for an answer, and stops the new process in the middle of its load."""
    old, = children(server.process.pid)
    os.kill(old, signal.SIGKILL)
    mine = ask(server, max_tokens=2)
    assert server.eventually(lambda: children(server.process.pid) not in ([], [old]))
    new, = children(server.process.pid)
    os.kill(new, signal.SIGSTOP)
    return new, mine


@pytest.fixture
def slow(start):
    """One that loads for a second, and has loaded."""
    server = start("fake:hosted=1,load_ms=1000", DUNLIN_SERVER__DRAIN_S="1")
    assert ask(server, max_tokens=2).getresponse().status == 200
    return server


def test_who_waits_for_a_restart_may_leave_and_readiness_tells(slow):
    child, mine = held_restart(slow)
    other = ask(slow, max_tokens=2)
    assert slow.eventually(lambda: slow.metric("dunlin_sequences_queued") == 2)
    assert request(slow, "GET", "/health")[0].status == 200
    other.close()
    assert slow.eventually(lambda: slow.metric("dunlin_sequences_queued") == 1, within_s=3)
    assert slow.metric("dunlin_requests_total", outcome="cancelled") == 1
    assert slow.eventually(lambda: readiness(slow)[0] == 503, within_s=15)
    assert "no step" in readiness(slow)[1]["models"][0]["reason"]
    os.kill(child, signal.SIGCONT)
    assert mine.getresponse().status == 200
    assert readiness(slow)[0] == 200


def test_the_server_ends_in_time_during_a_restart(slow):
    child, mine = held_restart(slow)
    slow.terminate()
    answer = mine.getresponse()
    assert answer.status == 503 and "shut down" in json.load(answer)["error"]["message"]
    assert slow.process.wait(5) == 0
    assert gone(child)


@pytest.mark.parametrize("hosted, how", [(0, signal.SIGTERM), (1, signal.SIGTERM), (1, signal.SIGKILL)])
def test_the_server_ends_in_time_during_its_first_load(start, hosted, how):
    server = start(f"fake:hosted={hosted},load_ms=60000", DUNLIN_SERVER__DRAIN_S="1")
    mine = ask(server)
    assert server.eventually(lambda: readiness(server)[1]["models"][0]["state"] == "loading")
    assert server.eventually(lambda: len(children(server.process.pid)) == hosted)
    left = children(server.process.pid)
    server.process.send_signal(how)
    assert server.process.wait(8) == (0 if how == signal.SIGTERM else -how)
    assert server.eventually(lambda: all(gone(child) for child in left))
    mine.close()
