"""The chat WebSocket of the real binary, as docs/formats/websocket.md has it."""

import contextlib
import json
import time

import httpx
import pytest
import websockets.sync.client as ws


@pytest.fixture
def connect(server):
    address = server.url.replace("http://", "ws://") + "/chat/ws"
    with contextlib.ExitStack() as sockets:
        yield lambda: Chat(sockets.enter_context(
            ws.connect(address, subprotocols=["dunlin.chat.v1"])))


class Chat:
    def __init__(self, socket):
        self.socket = socket

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def receive(self):
        return json.loads(self.socket.recv(timeout=60))

    def until(self, *types):
        """Everything up to the first message of these types."""
        out = []
        while not out or out[-1]["type"] not in types:
            out.append(self.receive())
        return out

    def ask(self, text, **more):
        self.send(type="chat", message=text, params={"max_tokens": 12}, **more)
        return self.until("done", "error")


def text_of(messages):
    return "".join(m["text"] for m in messages if m["type"] == "token")


def history(server, session):
    return httpx.get(f"{server.url}/chat/history/{session}").json()["data"]


def test_an_answer_is_stored_as_it_was_sent(server, connect):
    chat = connect()
    assert chat.socket.subprotocol == "dunlin.chat.v1"
    messages = chat.ask("What is gravity?", id="a1")
    start = next(m for m in messages if m["type"] == "start")
    done = messages[-1]
    assert done["type"] == "done" and done["saved"] and done["finish_reason"] in ("stop", "length")
    assert all(m["id"] == "a1" for m in messages)
    assert start["omitted_messages"] == 0 and not start["resumed"]
    seqs = [m["seq"] for m in messages if "seq" in m]
    assert seqs == sorted(set(seqs))
    assert done["usage"]["completion_tokens"] > 0
    question, answer = history(server, start["session_id"])
    assert question["content"] == "What is gravity?" and question["id"] == start["user_message_id"]
    assert answer["content"] == text_of(messages) and answer["id"] == start["message_id"]
    assert answer["status"] == "complete"


def test_the_conversation_goes_on_and_branches(server, connect):
    chat = connect()
    first = chat.ask("One?")[-1]
    session = first["session_id"]
    chat.ask("Two?", session_id=session)
    assert [m["role"] for m in history(server, session)] == ["user", "assistant"] * 2

    chat.send(type="regenerate", session_id=session, params={"max_tokens": 4, "seed": 7})
    assert chat.until("done", "error")[-1]["type"] == "done"
    shown = history(server, session)
    assert len(shown) == 4 and len(shown[3]["siblings"]) == 2

    chat.send(type="edit", session_id=session, message_id=shown[0]["id"], message="Three?",
              params={"max_tokens": 4})
    assert chat.until("done", "error")[-1]["type"] == "done"
    shown = history(server, session)
    assert [m["content"] for m in shown][0] == "Three?" and len(shown) == 2
    assert len(shown[0]["siblings"]) == 2


def test_several_answers_on_one_socket(connect):
    chat = connect()
    for name in "abc":
        chat.send(type="chat", id=name, message=f"Say {name}", params={"max_tokens": 20})
    ended, sessions = set(), {}
    while len(ended) < 3:
        message = chat.receive()
        if message["type"] == "start":
            sessions[message["id"]] = message["session_id"]
        if message["type"] == "token":
            assert message["session_id"] == sessions[message["id"]]
        if message["type"] == "done":
            ended.add(message["id"])
    assert len(set(sessions.values())) == 3


def test_stop_keeps_the_text(server, connect):
    chat = connect()
    chat.send(type="chat", id="long", message="Tell me a story",
              params={"max_tokens": 2000, "ignore_eos": True})
    chat.until("token")
    chat.send(type="stop", id="long")
    done = chat.until("done", "error")[-1]
    assert done["finish_reason"] == "cancelled" and done["saved"]
    answer = history(server, done["session_id"])[-1]
    assert answer["status"] == "cancelled" and answer["content"]
    chat.send(type="stop", id="long")
    assert chat.receive()["error"]["code"] == "not_found"


def test_a_dropped_connection_resumes_without_loss(server, connect):
    chat = connect()
    chat.send(type="chat", id="x", message="Count",
              params={"max_tokens": 120, "ignore_eos": True, "seed": 1})
    seen = chat.until("token")
    while len([m for m in seen if m["type"] == "token"]) < 5:
        seen.append(chat.receive())
    start = next(m for m in seen if m["type"] == "start")
    session = start["session_id"]
    # Gone without a word; the answer goes on.
    chat.socket.socket.close()
    again, twin = connect(), connect()
    assert httpx.get(f"{server.url}/sessions/{session}").json()["answering"] in (True, False)
    again.send(type="resume", id="y", session_id=session, after=seen[-1]["seq"])
    rest = again.until("done", "error")
    twin.send(type="resume", id="z", session_id=session)
    whole = twin.until("done", "error")
    assert rest[-1]["type"] == whole[-1]["type"] == "done"
    assert next(m for m in rest if m["type"] == "start")["resumed"]
    assert text_of(seen) + text_of(rest) == text_of(whole) == history(server, session)[-1]["content"]


def test_one_answer_a_session(connect):
    chat = connect()
    chat.send(type="chat", id="a", message="Go on",
              params={"max_tokens": 2000, "ignore_eos": True})
    session = next(m for m in chat.until("start"))
    session = session.get("session_id") or chat.receive()["session_id"]
    chat.send(type="chat", id="b", session_id=session, message="And?")
    while (message := chat.receive())["id"] != "b":
        pass
    assert message["type"] == "error" and message["error"]["code"] == "conflict"
    chat.send(type="stop", id="a")
    chat.until("done")


@pytest.mark.parametrize("message, param", [
    ({"type": "chat"}, "message"),
    ({"type": "chat", "message": ""}, "message"),
    ({"type": "chat", "message": 5}, "message"),
    ({"type": "chat", "message": "x", "params": []}, "params"),
    ({"type": "chat", "message": "x", "params": {"temperature": 9}}, "params.temperature"),
    ({"type": "chat", "message": "x", "params": {"messages": []}}, "params.messages"),
    ({"type": "chat", "message": "x", "session_id": "sess_none"}, "session_id"),
    ({"type": "chat", "message": "x", "model": "nope"}, "model"),
    ({"type": "regenerate"}, "session_id"),
    ({"type": "edit", "session_id": "s"}, "message_id"),
    ({"type": "resume", "session_id": "sess_none"}, "session_id"),
    ({"type": "chat", "id": "x" * 65, "message": "x"}, "id"),
    ({"type": "dance"}, "type"),
    ({}, "type"),
])
def test_a_wrong_message_is_answered_with_its_field(connect, message, param):
    chat = connect()
    chat.send(**message)
    error = chat.receive()
    assert error["type"] == "error" and error["error"]["param"] == param, error
    chat.send(type="ping", id="p")
    assert chat.receive() == {"type": "pong", "id": "p"}


def test_what_is_no_json_closes_nothing(connect):
    chat = connect()
    for text in ("", "{", "[]", "null", "\"x\"", "{\"type\":1}"):
        chat.socket.send(text)
        assert chat.receive()["type"] == "error"
    chat.send(type="ping")
    assert chat.receive()["type"] == "pong"


def test_a_client_that_reads_nothing_costs_nobody(server, connect):
    lazy, busy = connect(), connect()
    busy.ask("Load it.")
    at_once = httpx.get(server.url + "/v1/models").json()["data"][0]["sequences_max"]
    many = min(8, at_once - 1)  # and one for the other client
    for i in range(many):
        lazy.send(type="chat", id=str(i), message="On and on",
                  params={"max_tokens": 2000, "ignore_eos": True})
    began = time.monotonic()
    assert busy.ask("Quick?")[-1]["type"] == "done"
    assert time.monotonic() - began < 30
    for i in range(many):  # they would go on without a reader
        lazy.send(type="stop", id=str(i))


def test_a_question_over_rest_joins_the_session(server, connect):
    session = connect().ask("First?")[-1]["session_id"]
    reply = httpx.post(server.url + "/v1/chat/completions", timeout=60, json={
        "session_id": session, "max_tokens": 8, "messages": [{"role": "user", "content": "Second?"}]})
    assert reply.status_code == 200 and reply.headers["x-session-saved"] == "true"
    shown = history(server, session)
    assert len(shown) == 4 and shown[3]["id"] == reply.headers["x-message-id"]
    assert shown[3]["content"] == reply.json()["choices"][0]["message"]["content"]
    refused = httpx.post(server.url + "/v1/chat/completions", timeout=60, json={
        "session_id": session, "messages": [{"role": "system", "content": "x"},
                                            {"role": "user", "content": "y"}]})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "messages"
