"""docs/formats/websocket.md: its examples are sent, and what comes back has the fields of its examples."""

import json
import re

import httpx
import pytest
import websockets.exceptions
import websockets.sync.client as ws
from blocks import blocks
from conftest import ROOT, start
from test_interface import shape

DOCUMENT = (ROOT / "docs/formats/websocket.md").read_text()
SENT, RECEIVED = ([json.loads(line) for line in block.text.splitlines()] for block in blocks(DOCUMENT))
TOKENS = {"max_tokens": 40, "ignore_eos": True}


def rows(section):
    """type -> names in its second column, of each row of the section's first table."""
    part = DOCUMENT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    out = {}
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("| `"):
            for name in cells[1].split(","):
                out[name.strip(" `")] = set(re.findall(r"`(\w+)`", cells[2]))
    return out


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Answers one at a time, and takes its time."""
    one = start(tmp_path_factory.mktemp("slow"), "[models]\nsequences_max = 1\n", "fake:step_us=5000,sequences_max=1")
    yield one.wait()
    one.end()


@pytest.fixture
def socket(slow):
    with ws.connect(slow.url.replace("http", "ws") + "/chat/ws", subprotocols=["dunlin.chat.v1"]) as one:
        yield one


def example(kind, **changes):
    """The document's message of this type, with other values for fields that it has."""
    message, = [one for one in SENT if one["type"] == kind]
    assert changes.keys() <= message.keys()
    return {**message, **changes}


def send(socket, message):
    socket.send(json.dumps(message).replace("SmolLM2-135M-Instruct", "fake"))


def until(socket, *types, id=None):
    """Everything up to the first message of these types, and of this id where one is given."""
    out = []
    while not out or out[-1]["type"] not in types or id not in (None, out[-1]["id"]):
        out.append(json.loads(socket.recv(timeout=60)))
    return out


def ask(socket, **changes):
    """The document's first question, answered: (start, done)."""
    send(socket, example("chat", **changes))
    messages = until(socket, "done", "error")
    assert messages[-1]["type"] == "done", messages[-1]
    return next(one for one in messages if one["type"] == "start"), messages[-1]


def test_every_type_has_an_example_and_every_field_is_in_the_tables():
    client, server = rows("What the client sends"), rows("What the server sends")
    assert {one["type"] for one in SENT} | {"auth"} == client.keys()
    assert {one["type"] for one in RECEIVED} | {"authenticated", "pong"} == server.keys()
    for message in SENT:
        assert message.keys() - {"type", "id"} <= client[message["type"]], message
    for message in RECEIVED:
        assert message.keys() - {"type", "id", "session_id"} <= server[message["type"]] | {"retry_after_s"}, message


def test_a_question_is_answered_in_the_document_s_order(socket):
    send(socket, example("chat"))
    messages = until(socket, "done", "error")
    kinds = [one["type"] for one in messages if one["type"] != "queued"]
    assert kinds[0] == "start" and kinds[-1] == "done" and set(kinds[1:-1]) == {"token"}
    assert all(one["id"] == example("chat")["id"] for one in messages)
    assert messages[-1]["usage"]["completion_tokens"] <= example("chat")["params"]["max_tokens"]


def test_stop_ends_the_answer_it_names(socket):
    send(socket, example("chat", params={**TOKENS, "max_tokens": 2000}))
    until(socket, "token")
    send(socket, example("stop"))
    done = until(socket, "done", "error")[-1]
    assert done["type"] == "done" and done["finish_reason"] == "cancelled" and done["saved"]


def test_regenerate_and_edit_make_branches(slow, socket):
    start_, _ = ask(socket)
    session = start_["session_id"]
    send(socket, example("regenerate", session_id=session))
    again = until(socket, "done", "error")
    assert again[-1]["type"] == "done" and again[-1]["id"] == example("regenerate")["id"]
    shown = httpx.get(f"{slow.url}/chat/history/{session}").json()["data"]
    assert len(shown[-1]["siblings"]) == 2
    send(socket, example("edit", session_id=session, message_id=start_["user_message_id"]))
    edited = until(socket, "done", "error")
    assert edited[-1]["type"] == "done" and edited[-1]["id"] == example("edit")["id"]
    shown = httpx.get(f"{slow.url}/chat/history/{session}").json()["data"]
    assert shown[0]["content"] == example("edit")["message"] and len(shown[0]["siblings"]) == 2


def test_resume_goes_on_after_the_number(socket):
    start_, _ = ask(socket, params={**TOKENS, "max_tokens": 60})
    send(socket, example("resume", session_id=start_["session_id"]))
    messages = until(socket, "done", "error")
    assert messages[0]["type"] == "start" and messages[0]["resumed"]
    assert messages[0]["message_id"] == start_["message_id"]
    assert messages[-1]["type"] == "done"
    assert all(one["seq"] > example("resume")["after"] for one in messages if one["type"] == "token")


def test_ping_is_answered(socket):
    send(socket, example("ping"))
    assert until(socket, "pong", "error")[-1]["id"] == example("ping")["id"]


def test_a_key_comes_in_the_first_message(guarded):
    address = guarded.url.replace("http", "ws") + "/chat/ws"
    with ws.connect(address, subprotocols=["dunlin.chat.v1"]) as one:
        send(one, {"type": "auth", "id": "k", "key": guarded.key})
        assert until(one, "authenticated", "error")[-1]["type"] == "authenticated"
        send(one, example("ping"))
        assert until(one, "pong", "error")[-1]["type"] == "pong"
    with ws.connect(address, subprotocols=["dunlin.chat.v1", f"dunlin.key.{guarded.key}"]) as one:
        assert one.subprotocol == "dunlin.chat.v1"
        send(one, example("ping"))
        assert until(one, "pong", "error")[-1]["type"] == "pong"
    with ws.connect(address, subprotocols=["dunlin.chat.v1"]) as one:
        send(one, example("ping"))
        assert until(one, "error")[-1]["error"]["code"] == "invalid_api_key"
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            one.recv(timeout=10)
        assert closed.value.rcvd.code == 4401


def test_messages_of_the_server_have_the_fields_of_the_examples(socket):
    send(socket, example("chat", id="first", params={**TOKENS, "max_tokens": 200}))
    until(socket, "start", id="first")
    send(socket, example("chat", params=TOKENS))  # has to wait
    messages = until(socket, "done", "error", id=example("chat")["id"])
    messages = [one for one in messages if one["id"] != "first"]
    send(socket, example("regenerate"))  # of a session that is not there
    messages += until(socket, "error")
    real = {}
    for message in messages:
        real.setdefault(message["type"], message)
    for told in RECEIVED:
        there = real[told["type"]]
        assert shape(there) == shape(told), (told, there)
        for name, value in told.items():
            if value is not None and there[name] is not None and not isinstance(value, dict):
                assert type(there[name]) in (type(value), int), (told, there)
    told, = [one for one in RECEIVED if one["type"] == "error"]
    assert real["error"] == {**told, "id": example("regenerate")["id"]}
