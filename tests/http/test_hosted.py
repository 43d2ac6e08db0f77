"""A model in a process of its own: its end costs the answers that were being computed, and nothing else."""

import os
import pathlib
import signal

import openai
import pytest
from conftest import fake_only

pytestmark = fake_only


def children(pid):
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()]


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
