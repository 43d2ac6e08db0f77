"""API.md, the collection, /openapi.json and the router tell of the same endpoints, errors, parameters and fields."""

import json
import re

import httpx
import pytest
from blocks import blocks
from conftest import APP, ROOT, endpoints

API = (ROOT / "API.md").read_text()
COLLECTION = json.loads((ROOT / "postman_collection.json").read_text())
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def headings():
    return re.findall(r"^### `(\w+) (/\S+)`$", API, re.M)


def requests(item=COLLECTION):
    """Every request of the collection, in its order."""
    for one in item.get("item", ()):
        yield from requests(one)
    if "request" in item:
        yield item["request"]


def of_collection():
    out = set()
    for request in requests():
        path = re.sub(r"\{\{\w+\}\}", "{id}", "/" + "/".join(request["url"]["path"]))
        out.add((request["method"], path))
    return out


@pytest.fixture(scope="module")
def openapi(server):
    return httpx.get(server.url + "/openapi.json").json()


def test_the_document_has_every_endpoint_once_and_no_other():
    assert sorted(headings()) == sorted(endpoints())


def test_the_collection_has_every_endpoint_and_no_other():
    assert of_collection() == set(endpoints())


def test_openapi_has_every_endpoint_twice_and_no_other(openapi):
    there = [(method.upper(), path) for path, item in openapi["paths"].items() for method in item]
    wanted = [(method, prefix + path) for method, path in endpoints() for prefix in ("", "/v1")]
    assert sorted(there) == sorted(wanted)


def test_the_router_has_the_methods_that_the_document_tells(server):
    """By what it allows on each path, rather than by the table that it is made from."""
    told = {}
    for method, path in headings():
        told.setdefault(path, set()).add(method)
    for path, methods in told.items():
        for prefix in ("", "/v1"):
            answer = httpx.options(server.url + prefix + path.replace("{id}", "x"))
            assert answer.status_code == 204, path
            assert set(answer.headers["allow"].split(", ")) & METHODS == methods, path
    assert httpx.options(server.url + "/no/such/path").status_code == 404


def test_the_table_of_errors_is_that_of_the_code():
    text = (ROOT / "src/api/errors.cpp").read_text()
    types = dict(re.findall(r'constexpr std::string_view (\w+) = "(\w+)";', text))

    def kind(name):
        return types.get(name) or name.strip('"')
    rows = {(status, kind(type_), name or "null", retry == "true") for status, type_, name, retry in
            re.findall(r'^    \{Code::\w+, (\d+), ("?\w+"?), "(\w*)", (true|false)\},', text, re.M)}
    # What HTTP itself refuses: waiting helps with 503 alone.
    rows |= {(status, kind(type_), name, status == "503") for status, type_, name in
             re.findall(r'^    \{(\d+), ("?\w+"?), "(\w+)"\},', text, re.M)}
    assert len(rows) > 20
    told = re.findall(r"^\| (\d{3}) \| `(\w+)` \| `?(\w+)`? \| (yes|no) \| \S.* \|$", API, re.M)
    assert len(told) == len(set(told))
    assert {(status, type_, code, later == "yes") for status, type_, code, later in told} == rows


def test_every_parameter_is_told_and_no_other(openapi):
    known = set()
    for path in ("/chat/completions", "/completions"):
        body = openapi["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        known |= set(body["properties"])
    section = API.split("#### Parameters\n")[1].split("\n## ")[0]
    table = {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
    named = set(re.findall(r"`(\w+)`", section.split("\n\n")[-1]))
    assert not table & named
    assert table | named == known


def test_every_header_of_an_answer_is_told():
    sources = "".join(file.read_text() for file in (ROOT / "src").rglob("*.cpp") if not file.name.endswith("_test.cpp"))
    sent = set(re.findall(r'emplace_back\(\s*"([xX]-[a-z-]+|[Rr]etry-[a-zA-Z-]+|WWW-Authenticate)"', sources))
    sent |= set(re.findall(r'\{"(x-[a-z-]+)", ', sources))
    told = set(re.findall(r"`([\w-]+)`", API.split("\n## Headers\n")[1].split("\n## ")[0]))
    assert sent and sent <= told, sent - told


def test_pages_of_other_origins_may_read_every_header_that_is_told(server):
    answer = httpx.get(server.url + "/health", headers={"origin": APP})
    exposed = {name.lower() for name in answer.headers["access-control-expose-headers"].split(", ")}
    rows = "".join(re.findall(r"^\| (`.*?) \|", API.split("\n## Headers\n")[1].split("\n## ")[0], re.M))
    assert {name.lower() for name in re.findall(r"`([\w-]+)`", rows)} - {"allow", "www-authenticate"} == exposed


def shape(value):
    """The names of fields at every depth; a list stands for its first entry."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def same(told, real):
    """Whether two shapes have the same fields, where null may stand for anything."""
    if isinstance(told, dict) and isinstance(real, dict):
        return told.keys() == real.keys() and all(same(told[name], real[name]) for name in told)
    if isinstance(told, list) and isinstance(real, list):
        return not told or not real or same(told[0], real[0])
    return told is None or real is None


def conversation(server):
    """A session with a question and an answer."""
    made = httpx.post(server.url + "/sessions", json={}).json()["id"]
    body = {"session_id": made, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    httpx.post(server.url + "/chat/completions", json=body).raise_for_status()
    return made


def real_answers(server):
    """What the server says to each request that the document shows an answer of, by section."""
    def of(method, path, body=None):
        return httpx.request(method, server.url + path, json=body).json()
    first, second, third = (conversation(server) for _ in range(3))
    body = {"max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]}
    history = of("GET", f"/chat/history/{third}")
    return {
        "Errors": [of("GET", "/sessions/none")],
        "`GET /health`": [of("GET", "/health")],
        "`GET /readiness`": [of("GET", "/readiness")],
        "`GET /models`": [of("GET", "/models")],
        "`POST /chat/completions`": [of("POST", "/chat/completions", body)],
        "`POST /completions`": [of("POST", "/completions", {"max_tokens": 3, "prompt": "hi"})],
        "Sessions": [of("GET", f"/sessions/{third}"), history["data"][-1]],
        "`GET /sessions`": [of("GET", "/sessions")],
        "`GET /chat/history/{id}`": [history],
        "`DELETE /chat/history/{id}`": [of("DELETE", f"/chat/history/{first}")],
        "`DELETE /sessions/{id}`": [of("DELETE", f"/sessions/{second}")],
    }


def test_answers_have_the_fields_that_the_document_shows(server):
    told = {}
    for block in blocks(API):
        if block.language == "json":
            told.setdefault(block.section, []).append(json.loads(block.text))
    real = real_answers(server)
    assert told.keys() == real.keys()
    for section, answers in told.items():
        assert len(answers) == len(real[section]), section
        for example, answer in zip(answers, real[section]):
            assert same(shape(example), shape(answer)), (section, example, answer)
