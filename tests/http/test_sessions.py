"""Sessions on the real program: every endpoint, paging, limits, what stays after a restart, and the command line."""

import json
import os
import pathlib
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import ROOT, Server, binary, fake_only

pytestmark = fake_only


def call(server, method, path, body=None):
    """Status and JSON (or text) of one request."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(server.url + path, data=data, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            status, kind, text = answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        status, kind, text = error.code, error.headers["Content-Type"], error.read().decode()
    return status, json.loads(text) if kind == "application/json" else text


def make(server, **fields):
    status, session = call(server, "POST", "/sessions", fields)
    assert status == 201, session
    return session


def say(server, session, text, **more):
    status, answer = call(server, "POST", "/v1/chat/completions",
                          {"session_id": session, "messages": [{"role": "user", "content": text}], "max_tokens": 4, **more})
    assert status == 200, answer


def history(server, session, query=""):
    status, page = call(server, "GET", f"/chat/history/{session}{query}")
    assert status == 200, page
    return page


@pytest.fixture
def serve(tmp_path):
    """Starts servers one after another on one data folder."""
    started = []

    def one(**environment):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Server(folder, "fake:step_us=0", DUNLIN_SERVER__DATA_DIR=str(tmp_path / "data"), **environment))
        return started[-1].wait()
    yield one
    for server in started:
        server.end()


def test_a_conversation_from_its_making_to_its_end(server):
    session = make(server, title="Grüße\n世界 🦆", system="Be brief.", parameters={"temperature": 0.5})
    assert session["title"] == "Grüße 世界 🦆" and session["head"] is None and session["messages"] == 0
    id = session["id"]
    say(server, id, "first")
    say(server, id, "second")
    page = history(server, id)
    assert [one["role"] for one in page["data"]] == ["user", "assistant"] * 2
    assert page["data"][2]["content"] == "second" and page["data"][2]["usage"] is None
    assert page["data"][3]["parent"] == page["data"][2]["id"] and page["data"][3]["status"] == "complete"
    assert page["data"][3]["usage"]["completion_tokens"] == 4 and page["session"]["messages"] == 4

    status, session = call(server, "POST", f"/chat/history/{id}/rollback", {"count": 2})
    assert status == 200 and session["head"] == page["data"][1]["id"]
    say(server, id, "another second")
    again = history(server, id)
    assert len(again["data"]) == 4 and len(again["data"][2]["siblings"]) == 2
    status, session = call(server, "POST", f"/chat/history/{id}/branch", {"message_id": page["data"][2]["id"]})
    assert status == 200 and history(server, id)["data"] == [*again["data"][:2], *history(server, id)["data"][2:]]
    assert history(server, id)["data"][2]["content"] == "second"
    assert call(server, "POST", f"/chat/history/{id}/rollback", {"count": 5})[0] == 400

    status, session = call(server, "PATCH", f"/sessions/{id}", {"title": "new", "system": None})
    assert status == 200 and session["title"] == "new" and session["system"] is None
    assert session["parameters"] == {"temperature": 0.5}
    assert call(server, "GET", f"/v1/sessions/{id}") == (200, session)
    assert call(server, "DELETE", f"/sessions/{id}") == (200, {"id": id, "object": "session", "deleted": True})
    for method, path, body in [("GET", f"/sessions/{id}", None), ("DELETE", f"/chat/history/{id}", None),
                               ("GET", f"/chat/history/{id}", None), ("PATCH", f"/sessions/{id}", {})]:
        assert call(server, method, path, body)[0] == 404


def test_the_title_comes_from_the_first_question(server):
    id = make(server)["id"]
    say(server, id, "重力とは何ですか?" * 20)
    title = call(server, "GET", f"/sessions/{id}")[1]["title"]
    assert title.startswith("重力とは") and title.endswith("...") and len(title) == 60


def test_a_branch_is_kept_as_a_file(server):
    id = make(server, title="a *title*")["id"]
    for number in range(60):
        say(server, id, f"q{number}", max_tokens=1)
    whole = history(server, id, "?format=json")
    assert len(whole["data"]) == 120 and not whole["has_more"]
    status, text = call(server, "GET", f"/chat/history/{id}?format=markdown")
    assert status == 200 and text.startswith("# a \\*title\\*\n") and text.count("## User") == 60
    with urllib.request.urlopen(f"{server.url}/chat/history/{id}?format=markdown") as answer:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{id}.md"'

    ids, before = [], ""
    while True:
        page = history(server, id, f"?limit=50{before}")
        ids = [one["id"] for one in page["data"]] + ids
        if not page["has_more"]:
            break
        before = "&before=" + page["data"][0]["id"]
    assert ids == [one["id"] for one in whole["data"]]


def test_many_sessions_come_in_pages_and_are_found(serve):
    server = serve()
    made = [make(server, title=f"Nummer {number} Ä")["id"] for number in range(230)]
    listed, after = [], ""
    for _ in range(3):
        status, page = call(server, "GET", f"/sessions?limit=100{after}")
        assert status == 200
        listed += [one["id"] for one in page["data"]]
        assert page["has_more"] == (len(listed) < 230)
        after = "&after=" + listed[-1]
    assert listed == made[::-1]
    found = call(server, "GET", "/sessions?query=" + urllib.parse.quote("nummer 22 ä"))[1]["data"]
    assert [one["id"] for one in found] == [made[22]]
    say(server, made[7], "Wo ist der DREIFUSS?")
    found = call(server, "GET", "/sessions?query=dreifuss")[1]["data"]
    assert [one["id"] for one in found] == [made[7]]
    assert call(server, "GET", "/sessions?limit=1")[1]["data"][0]["id"] == made[7]


@pytest.mark.parametrize("store", ["sqlite", "json", "memory"])
def test_a_restart(serve, tmp_path, store):
    server = serve(DUNLIN_SESSIONS__STORE=store)
    id = make(server, title="kept", parameters={"seed": 7})["id"]
    for text in ("one", "two"):
        say(server, id, text)
    call(server, "POST", f"/chat/history/{id}/rollback", {"count": 2})
    say(server, id, "three")
    before, listed = history(server, id), call(server, "GET", "/sessions")
    server.process.kill()
    server.process.wait()
    server = serve(DUNLIN_SESSIONS__STORE=store)
    if store == "memory":
        assert call(server, "GET", "/sessions")[1]["data"] == [] and not (tmp_path / "data").exists()
        return
    assert history(server, id) == before and call(server, "GET", "/sessions") == listed
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "data").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_limits(serve):
    server = serve(DUNLIN_LIMITS__SESSIONS_MAX="2", DUNLIN_LIMITS__SESSION_MESSAGES_MAX="4",
                   DUNLIN_LIMITS__SESSION_BYTES_MAX="1024", DUNLIN_LIMITS__SESSION_TTL_S="60")
    first, second = make(server), make(server)
    assert first["expires"] == first["updated"] + 60
    status, body = call(server, "POST", "/sessions", {})
    assert status == 413 and "2 are the limit" in body["error"]["message"]
    say(server, first["id"], "one")
    say(server, first["id"], "two")
    chat = {"session_id": first["id"], "messages": [{"role": "user", "content": "three"}]}
    assert call(server, "POST", "/chat/completions", chat)[0] == 413
    chat = {"session_id": second["id"], "messages": [{"role": "user", "content": "x" * 1025}]}
    assert call(server, "POST", "/chat/completions", chat)[0] == 413
    assert call(server, "GET", f"/sessions/{second['id']}")[1]["messages"] == 0
    assert call(server, "DELETE", f"/sessions/{first['id']}")[0] == 200
    make(server)


def test_while_an_answer_is_written_its_session_stays_as_it_is(start):
    server = start("fake:step_us=100000")
    id = make(server)["id"]
    asked = urllib.request.Request(
        server.url + "/chat/completions", method="POST",
        data=json.dumps({"session_id": id, "messages": [{"role": "user", "content": "q"}], "stream": True,
                         "max_tokens": 50}).encode())
    with urllib.request.urlopen(asked, timeout=60) as answer:
        answer.readline()
        assert call(server, "GET", f"/sessions/{id}")[1]["answering"]
        for path, body in [("rollback", {"count": 1}), ("branch", {"message_id": "msg_x"})]:
            status, body = call(server, "POST", f"/chat/history/{id}/{path}", body)
            assert status == 409 and body["error"]["code"] == "conflict"
        assert call(server, "DELETE", f"/sessions/{id}")[0] == 200
    assert call(server, "GET", f"/sessions/{id}")[0] == 404
    assert server.eventually(lambda: server.metric("dunlin_sequences_running") == 0)


def run(folder, *arguments, **environment):
    done = subprocess.run([binary(), "sessions", *map(str, arguments), "--data-dir", str(folder)], capture_output=True,
                          timeout=60, text=True, check=False, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def test_sessions_move_between_stores(serve, tmp_path):
    server = serve()
    id = make(server, title="moved", system="s")["id"]
    say(server, id, "one")
    say(server, id, "two")
    call(server, "POST", f"/chat/history/{id}/rollback", {"count": 1})
    before = history(server, id)
    code, _, error = run(tmp_path / "data", "export")
    assert code == 1 and "in use by another dunlin" in error
    server.end()

    file = tmp_path / "out.json"
    code, out, error = run(tmp_path / "data", "export", file)
    assert code == 0 and "exported: sessions 1" in error and file.stat().st_mode & 0o777 == 0o600
    assert run(tmp_path / "data", "export")[1] == file.read_text()
    other = tmp_path / "other"
    assert run(other, "import", file, DUNLIN_SESSIONS__STORE="json")[:2] == (0, "imported: sessions 1, messages 4\n")
    assert (other / "sessions.json").read_text() == file.read_text()
    code, out, _ = run(other, "import", file, DUNLIN_SESSIONS__STORE="json")
    assert code == 0 and "there already" in out and "sessions 0" in out
    code, out, _ = run(other, "list", DUNLIN_SESSIONS__STORE="json")
    assert code == 0 and id in out and "moved" in out and "4 messages" in out
    again = Server(tmp_path, "fake", DUNLIN_SERVER__DATA_DIR=str(other), DUNLIN_SESSIONS__STORE="json").wait()
    try:
        assert history(again, id) == before
    finally:
        again.end()


def test_imports_that_cannot_be_are_refused_and_change_nothing(tmp_path):
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps({"a": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}))
    folder = tmp_path / "data"
    assert run(folder, "import", plain, "--owner", "ann")[:2] == (0, "imported: sessions 1, messages 2\n")
    assert "[ann]" in run(folder, "list")[1] and run(folder, "list", "--owner", "bob")[1] == ""
    listed = run(folder, "list")
    bad = tmp_path / "bad.json"
    for text, why in [("{", "line 1"), ('{"x": [{"role": "tool", "content": ""}]}', "role"),
                      ('{"format": "dunlin.sessions", "version": 9}', "newer")]:
        bad.write_text(text)
        code, out, error = run(folder, "import", bad)
        assert code == 1 and not out and why in error and "Nothing was imported" in error
    assert run(folder, "import", tmp_path / "none.json")[0] == 2
    plain.write_text(json.dumps({str(n): [] for n in range(5)}))
    code, _, error = run(folder, "import", plain, DUNLIN_LIMITS__SESSIONS_MAX="4")
    assert code == 1 and "limits.sessions_max is 4" in error
    assert run(folder, "list") == listed
    assert run(folder, "list", DUNLIN_SESSIONS__STORE="memory")[0] == 2


def test_a_damaged_file_ends_the_start_and_stays(tmp_path):
    for store, name in [("sqlite", "sessions.db"), ("json", "sessions.json")]:
        folder = tmp_path / store
        folder.mkdir()
        (folder / name).write_bytes(b"\0" * 64560)
        started = time.monotonic()
        done = subprocess.run([binary(), "serve", "--model", "fake", "--port", "0", "--data-dir", str(folder)],
                              capture_output=True, text=True, timeout=30, check=False,
                              env={**os.environ, "DUNLIN_SESSIONS__STORE": store})
        assert done.returncode == 1 and name in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert time.monotonic() - started < 10 and (folder / name).read_bytes() == b"\0" * 64560


def test_the_examples_of_the_format_are_read(tmp_path):
    text = pathlib.Path(ROOT, "docs/formats/sessions.md").read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", text, re.S)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        file = tmp_path / f"{number}.json"
        file.write_text(example)
        code, out, error = run(tmp_path / f"data{number}", "import", file)
        assert code == 0 and "messages 4" in out, error
    # The second is what Dunlin itself writes, to the byte.
    assert run(tmp_path / "data1", "export")[1] == examples[1]
