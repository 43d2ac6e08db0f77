#!/usr/bin/env python3
"""Writes postman_collection.json (Postman's format 2.1.0) from the requests below and src/api/endpoints.def.

usage: postman_collection.py ROOT
The requests stand in an order in which they can be sent from top to bottom: a session is made, used and deleted. Names
come from the table of endpoints; an endpoint without a request, or a request without an endpoint, is an error.
"""

import json
import pathlib
import re
import sys
from dataclasses import dataclass, field

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
MODEL, SESSION = "{{model}}", "{{session_id}}"
QUESTION = [{"role": "user", "content": "What is gravity?"}]

IS_SESSION = ('pm.expect(answer).to.include.keys("id", "object", "title", "model", "system", "parameters", "created", '
              '"updated", "expires", "messages", "head", "answering");',
              'pm.expect(answer.object).to.eql("session");')
IS_DELETED = ('pm.expect(answer).to.eql({ id: pm.collectionVariables.get("session_id"), object: "session", deleted: true });',)
KEEP_SESSION = 'pm.collectionVariables.set("session_id", answer.id);'


@dataclass
class Request:
    folder: str
    method: str
    path: str  # as in endpoints.def
    tests: tuple  # JavaScript; `answer` is the body, read as JSON unless `text`
    values: dict = field(default_factory=dict)  # of the path's parameters
    name: str = ""  # instead of the table's
    query: dict = field(default_factory=dict)
    body: dict | None = None
    status: int = 200
    text: bool = False


REQUESTS = [
    Request("State", "GET", "/health", ('pm.expect(answer).to.eql({ status: "ok" });',)),
    Request("State", "GET", "/readiness", (
        'pm.expect(answer.status).to.eql("ready");',
        'for (const model of answer.models) pm.expect(model).to.have.all.keys("id", "state", "able", "reason");')),
    Request("State", "GET", "/metrics", ('pm.expect(answer).to.include("dunlin_http_requests_total");',), text=True),
    Request("Models", "GET", "/models", (
        'pm.expect(answer.object).to.eql("list");',
        'for (const model of answer.data) pm.expect(model).to.include.keys("id", "object", "created", "owned_by", "state");',
        '// Without a choice of yours: the first.',
        'if (!pm.collectionVariables.get("model")) pm.collectionVariables.set("model", answer.data[0].id);')),
    Request("Models", "GET", "/models/{id...}", (
        'pm.expect(answer.id).to.eql(pm.collectionVariables.get("model"));',), {"id": MODEL}),
    Request("Chat", "POST", "/chat/completions", (
        'pm.expect(answer.object).to.eql("chat.completion");',
        'pm.expect(answer.choices[0].message.role).to.eql("assistant");',
        'pm.expect(answer.choices[0].finish_reason).to.be.oneOf(["stop", "length"]);',
        'pm.expect(answer.usage.total_tokens).to.eql(answer.usage.prompt_tokens + answer.usage.completion_tokens);',
        'pm.expect(pm.response.headers.get("x-max-tokens")).to.eql("32");'),
        body={"model": MODEL, "messages": QUESTION, "max_tokens": 32}),
    Request("Chat", "POST", "/chat/completions", (
        'pm.expect(pm.response.headers.get("content-type")).to.include("text/event-stream");',
        'const events = answer.split("\\n\\n").filter((one) => one.startsWith("data: ")).map((one) => one.slice(6));',
        'pm.expect(events.pop()).to.eql("[DONE]");',
        'for (const one of events) pm.expect(JSON.parse(one).object).to.eql("chat.completion.chunk");'),
        name="Answer a conversation, as a stream", text=True,
        body={"model": MODEL, "messages": QUESTION, "max_tokens": 32, "stream": True}),
    Request("Chat", "POST", "/completions", (
        'pm.expect(answer.object).to.eql("text_completion");',
        'pm.expect(answer.choices[0].text).to.be.a("string");'),
        body={"model": MODEL, "prompt": "Gravity is", "max_tokens": 16}),
    Request("Sessions", "POST", "/sessions", (
        *IS_SESSION, 'pm.expect(answer.title).to.eql("Physics");', KEEP_SESSION),
        body={"title": "Physics", "parameters": {"max_tokens": 32}}, status=201),
    Request("Sessions", "POST", "/chat/completions", (
        'pm.expect(answer.choices[0].message.role).to.eql("assistant");',
        'pm.expect(pm.response.headers.get("x-session-id")).to.eql(pm.collectionVariables.get("session_id"));',
        'pm.expect(pm.response.headers.get("x-session-saved")).to.eql("true");'),
        name="Ask in the session", body={"session_id": SESSION, "model": MODEL, "messages": QUESTION}),
    Request("Sessions", "GET", "/sessions", (
        'pm.expect(answer.object).to.eql("list");',
        'pm.expect(answer.data.map((one) => one.id)).to.include(pm.collectionVariables.get("session_id"));',
        'pm.expect(answer.has_more).to.be.a("boolean");'), query={"query": "physics", "limit": "10"}),
    Request("Sessions", "GET", "/sessions/{id}", (
        *IS_SESSION, 'pm.expect(answer.messages).to.eql(2);'), {"id": SESSION}),
    Request("Sessions", "PATCH", "/sessions/{id}", (
        *IS_SESSION, 'pm.expect(answer.title).to.eql("Gravity");'), {"id": SESSION}, body={"title": "Gravity"}),
    Request("Sessions", "GET", "/chat/history/{id}", (
        'pm.expect(answer.data.map((one) => one.role)).to.eql(["user", "assistant"]);',
        'for (const one of answer.data) pm.expect(one).to.have.all.keys("id", "role", "content", "created", "parent", '
        '"status", "model", "finish_reason", "usage", "siblings");',
        'pm.collectionVariables.set("message_id", answer.data[1].id);'), {"id": SESSION}, query={"limit": "20"}),
    Request("Sessions", "POST", "/chat/history/{id}/rollback", (
        *IS_SESSION, 'pm.expect(answer.head).to.not.eql(pm.collectionVariables.get("message_id"));'),
        {"id": SESSION}, body={"count": 1}),
    Request("Sessions", "POST", "/chat/history/{id}/branch", (
        *IS_SESSION, 'pm.expect(answer.head).to.eql(pm.collectionVariables.get("message_id"));'),
        {"id": SESSION}, body={"message_id": "{{message_id}}"}),
    Request("Sessions", "DELETE", "/chat/history/{id}", IS_DELETED, {"id": SESSION}),
    Request("Sessions", "GET", "/sessions/{id}", (
        'pm.expect(answer.error).to.have.all.keys("message", "type", "param", "code");',
        'pm.expect(answer.error.code).to.eql("not_found");'), {"id": SESSION}, name="What was deleted is gone", status=404),
    Request("Sessions", "POST", "/sessions", (*IS_SESSION, KEEP_SESSION), name="Make another session", body={}, status=201),
    Request("Sessions", "DELETE", "/sessions/{id}", IS_DELETED, {"id": SESSION}),
    Request("The rest", "GET", "/chat/ws", (
        'pm.expect(pm.response.headers.get("upgrade")).to.eql("websocket");',
        'pm.expect(answer.error.code).to.eql("upgrade_required");'),
        name="Streaming chat on sessions: a WebSocket, which this kind of collection cannot hold", status=426),
    Request("The rest", "GET", "/openapi.json", (
        'pm.expect(answer.openapi).to.eql("3.1.0");', 'pm.expect(answer.paths).to.include.keys("/chat/completions");')),
]


def item(request, summary):
    path = re.sub(r"\{(\w+)(\.\.\.)?\}", lambda match: request.values[match[1]], request.path)
    url = {"raw": "{{base_url}}" + path, "host": ["{{base_url}}"], "path": path[1:].split("/")}
    if request.query:
        url["raw"] += "?" + "&".join(f"{name}={value}" for name, value in request.query.items())
        url["query"] = [{"key": name, "value": value} for name, value in request.query.items()]
    sent = {"method": request.method, "header": [], "url": url}
    if request.body is not None:
        sent["header"].append({"key": "Content-Type", "value": "application/json"})
        sent["body"] = {"mode": "raw", "raw": json.dumps(request.body, indent=4),
                        "options": {"raw": {"language": "json"}}}
    lines = [f'pm.test("answers with {request.status}", () => pm.response.to.have.status({request.status}));',
             'pm.test("has what it should", () => {',
             f"    const answer = pm.response.{'text' if request.text else 'json'}();",
             *(f"    {line}" for line in request.tests), "});"]
    return {"name": request.name or summary, "request": sent,
            "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": lines}}]}


def collection(table):
    """The whole, given the text of endpoints.def."""
    rows = re.findall(r'^ENDPOINT\((\w+), "([^"]+)", .*, "([^"]+)"\)$', table, re.M)
    summaries = {(method, path): summary for method, path, summary in rows}
    there = {(one.method, one.path) for one in REQUESTS}
    if wrong := sorted(there ^ summaries.keys()):
        raise SystemExit(f"tools/postman_collection.py: an endpoint without a request, or the other way round: {wrong}")
    folders = {}
    for one in REQUESTS:
        folders.setdefault(one.folder, []).append(item(one, summaries[one.method, one.path]))
    variables = {"base_url": "http://127.0.0.1:3000", "api_key": "none", "model": "", "session_id": "", "message_id": ""}
    return {
        "info": {"name": "Dunlin", "schema": SCHEMA,
                 "description": "Every endpoint of Dunlin; API.md explains them. Set the variables base_url and api_key; "
                                "model may stay empty, and the others are filled in. Run it from top to bottom."},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{api_key}}", "type": "string"}]},
        "variable": [{"key": name, "value": value} for name, value in variables.items()],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def text(root):
    made = collection((root / "src/api/endpoints.def").read_text(encoding="utf-8"))
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    (folder / "postman_collection.json").write_text(text(folder), encoding="utf-8")
