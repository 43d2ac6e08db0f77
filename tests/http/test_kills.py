"""kill -9 while clients chat: what was acknowledged is there after the restart, once, and everything can be read.

`start` acknowledges a question and `done` an answer; both are written down here, outside of the server. DUNLIN_KILLS says
how often. The control is a client that writes down every question as it is sent: of those some must be missing, or the
kills came where nothing can be lost.
"""

import json
import os
import random
import threading
import time

import httpx
import pytest
import websockets.exceptions
import websockets.sync.client as ws
from conftest import Server, fake_only

KILLS = int(os.environ.get("DUNLIN_KILLS", "8"))
CLIENTS = 4
MODEL = "fake:step_us=300,sequences_max=8,blocks=4096"


class Talker(threading.Thread):
    """Chats in sessions of its own until the server dies."""

    def __init__(self, server, seed):
        super().__init__()
        self.address = server.url.replace("http://", "ws://") + "/chat/ws"
        self.random = random.Random(seed)
        self.questions, self.answers, self.sent = {}, {}, []  # (session, message): text
        self.failure = None
        self.start()

    def run(self):
        try:
            with ws.connect(self.address, subprotocols=["dunlin.chat.v1"], close_timeout=0.1) as socket:
                session = None
                while True:
                    session = self.turn(socket, session)
        except (websockets.exceptions.WebSocketException, OSError):
            pass
        except Exception as failure:
            self.failure = failure

    def turn(self, socket, session):
        question = f"{self.random.getrandbits(64):x} 你好"
        self.sent.append(question)
        message = {"type": "chat", "message": question, "params": {"max_tokens": self.random.randint(1, 40)}}
        if session and self.random.random() < 0.8:
            message["session_id"] = session
        socket.send(json.dumps(message))
        text = ""
        while True:
            got = json.loads(socket.recv(timeout=30))
            if got["type"] == "start":
                session, answer = got["session_id"], got["message_id"]
                self.questions[session, got["user_message_id"]] = question
            elif got["type"] == "token":
                text += got["text"]
            elif got["type"] == "done":
                assert got["saved"]
                self.answers[session, answer] = text
                return session
            else:
                assert got["type"] == "queued", got


def everything(server):
    """Every message of every session, by (session, message)."""
    out, after = {}, ""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        while True:
            page = client.get("/sessions", params={"limit": 100, "after": after} if after else {"limit": 100}).json()
            for session in page["data"]:
                history = client.get(f"/chat/history/{session['id']}", params={"limit": 200}).json()
                assert history["session"]["id"] == session["id"]
                for message in history["data"]:
                    assert (session["id"], message["id"]) not in out
                    out[session["id"], message["id"]] = message
            if not page["has_more"]:
                return out
            after = page["data"][-1]["id"]


@fake_only
@pytest.mark.parametrize("store", ["sqlite", "json"])
def test_nothing_acknowledged_is_lost(tmp_path, store):
    chance = random.Random(20261126)
    questions, answers, sent = {}, {}, []
    for kill in range(KILLS):
        folder = tmp_path / f"{kill}"
        folder.mkdir()
        server = Server(folder, MODEL, DUNLIN_SERVER__DATA_DIR=str(tmp_path / "data"), DUNLIN_SESSIONS__STORE=store,
                        DUNLIN_LIMITS__SESSIONS_MAX="100000").wait()
        talkers = [Talker(server, chance.getrandbits(32)) for _ in range(CLIENTS)]
        time.sleep(chance.uniform(0.05, 0.5))
        server.process.kill()
        server.process.wait()
        for talker in talkers:
            talker.join(30)
            assert not talker.is_alive() and talker.failure is None, talker.failure
            questions |= talker.questions
            answers |= talker.answers
            sent += talker.sent
        server.log.close()
    server = Server(tmp_path, MODEL, DUNLIN_SERVER__DATA_DIR=str(tmp_path / "data"), DUNLIN_SESSIONS__STORE=store)
    stored = everything(server.wait())
    server.end()
    assert questions and answers
    for key, text in questions.items():
        assert stored[key]["content"] == text and stored[key]["status"] == "complete"
    for key, text in answers.items():
        assert stored[key]["content"] == text and stored[key]["status"] == "complete", stored[key]
    assert not any(message["status"] == "writing" for message in stored.values())
    there = [message["content"] for message in stored.values() if message["role"] == "user"]
    assert len(there) == len(set(there)), "a question stands twice"
    lost = len(set(sent) - set(there))
    assert lost > 0 or KILLS < 8, "the kills came where nothing can be lost"
    print(f"{store}: {KILLS} kills, {len(questions)} questions and {len(answers)} answers acknowledged and there; "
          f"{lost} questions that were only sent are not")
