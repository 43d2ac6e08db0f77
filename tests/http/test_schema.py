"""Requests that schemathesis makes up from /openapi.json, valid and not: no server error, and every
answer is one that the document tells of."""

import json
import urllib.request

import pytest
import schemathesis
from conftest import Server, fake_only
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

pytestmark = fake_only
SESSION = "/sessions/{id}"
HISTORY = "/chat/history/{id}"
OPERATIONS = [("GET", path) for path in ("/health", "/readiness", "/metrics", "/models", "/models/{id}", "/openapi.json",
                                         "/chat/ws", "/sessions", SESSION, HISTORY)] + [
    ("POST", "/completions"), ("POST", "/chat/completions"), ("POST", "/sessions"), ("PATCH", SESSION),
    ("POST", HISTORY + "/rollback"), ("POST", HISTORY + "/branch"), ("DELETE", SESSION), ("DELETE", HISTORY)]


@pytest.fixture(scope="module")
def fast_server(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("server"), "fake:step_us=0")
    yield one.wait()
    one.end()


@pytest.fixture(scope="module")
def schema(fast_server):
    return schemathesis.openapi.from_url(fast_server.url + "/openapi.json")


@pytest.fixture
def session(fast_server):
    """One with a question and an answer."""
    with urllib.request.urlopen(fast_server.url + "/sessions", b"{}") as answer:
        made = json.load(answer)["id"]
    body = {"session_id": made, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
    urllib.request.urlopen(fast_server.url + "/chat/completions", json.dumps(body).encode()).close()
    yield made
    for page in range(20):  # the limit of sessions must not end the next test
        with urllib.request.urlopen(fast_server.url + "/sessions?limit=100") as answer:
            for one in json.load(answer)["data"]:
                urllib.request.urlopen(urllib.request.Request(f"{fast_server.url}/sessions/{one['id']}",
                                                              method="DELETE")).close()


def test_every_operation_is_tried(schema):
    there = [(method.upper(), path) for path in schema if not path.startswith("/v1/") for method in schema[path]]
    assert sorted(there) == sorted(OPERATIONS)


def is_beyond_schemas(response):
    """Whether a request was refused for two fields together, or for what the model or the session has: no JSON
    schema says that."""
    if response.status_code != 400:
        return False
    error = response.json()["error"]
    reasons = ("'strict_params'", "may ask for", "there is no token", "the shown branch has")
    params = ("best_of", "top_logprobs", "echo", "after", "n", "messages", "session_id")
    return error["param"] in params or any(r in error["message"] for r in reasons)


def is_unknown_id(response):
    """Made-up ids of sessions, messages and models are not found; a GET of the WebSocket is no upgrade."""
    return response.status_code in (404, 426)


@pytest.mark.parametrize("operation,mode", [(one, GenerationMode.POSITIVE) for one in OPERATIONS] +
                         [(one, GenerationMode.NEGATIVE) for one in OPERATIONS if one[0] in ("POST", "PATCH")] +
                         [(("GET", "/sessions"), GenerationMode.NEGATIVE)],
                         ids=lambda one: " ".join(one) if isinstance(one, tuple) else one.value)
def test_answers_are_as_documented(schema, fast_server, session, operation, mode):
    method, path = operation
    statuses = set()

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=30 if method in ("POST", "PATCH") else 10, deadline=None, derandomize=True, database=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def check(case):
        if path.startswith((SESSION, HISTORY)):
            case.path_parameters["id"] = session
        response = case.call(timeout=30)
        statuses.add(response.status_code)
        if not is_beyond_schemas(response) and not is_unknown_id(response):
            case.validate_response(response)

    check()
    assert fast_server.process.poll() is None
    if path.startswith((SESSION, HISTORY)) and mode == GenerationMode.POSITIVE and not path.endswith("branch"):
        assert 200 in statuses  # it was the session's own handler that answered
