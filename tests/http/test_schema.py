"""Requests that schemathesis makes up from /openapi.json, valid and not: no server error, and every
answer is one that the document tells of."""

import pytest
import schemathesis
from conftest import Server, fake_only
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

pytestmark = fake_only
PATHS = ["/health", "/readiness", "/metrics", "/models", "/models/{id}", "/openapi.json", "/completions",
         "/chat/completions"]


@pytest.fixture(scope="module")
def fast_server(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("server"), "fake:step_us=0")
    yield one.wait()
    one.end()


@pytest.fixture(scope="module")
def schema(fast_server):
    return schemathesis.openapi.from_url(fast_server.url + "/openapi.json")


def test_every_path_is_tried(schema):
    assert sorted(path for path in schema if not path.startswith("/v1/")) == sorted(PATHS)


def is_beyond_schemas(response):
    """Whether a request was refused for two fields together, or for what the model has: no JSON schema says that."""
    if response.status_code != 400:
        return False
    error = response.json()["error"]
    reasons = ("'strict_params'", "may ask for", "there is no token")
    return error["param"] in ("best_of", "top_logprobs", "echo") or any(r in error["message"] for r in reasons)


@pytest.mark.parametrize("path,mode", [(path, GenerationMode.POSITIVE) for path in PATHS] +
                         [(path, GenerationMode.NEGATIVE) for path in PATHS if "completions" in path])
def test_answers_are_as_documented(schema, fast_server, path, mode):
    method = "POST" if "completions" in path else "GET"

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=30 if method == "POST" else 10, deadline=None, derandomize=True, database=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def check(case):
        response = case.call(timeout=30)
        if not is_beyond_schemas(response):
            case.validate_response(response)

    check()
    assert fast_server.process.poll() is None
