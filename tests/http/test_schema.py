"""Requests that schemathesis makes up from /openapi.json, valid and not: no server error, and every
answer is one that the document tells of."""

import pytest
import schemathesis
from conftest import Server, fake_only
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode

pytestmark = fake_only


@pytest.fixture(scope="module")
def fast_server(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("server"), "fake:step_us=0")
    yield one.wait()
    one.end()


@pytest.fixture(scope="module")
def api_schema(fast_server):
    schema = schemathesis.openapi.from_url(fast_server.url + "/openapi.json")
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return schema.exclude(path_regex="^/v1/")  # the same handlers


schema = schemathesis.pytest.from_fixture("api_schema")


@schema.parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, database=None,
          phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
def test_answers_are_as_documented(case, fast_server):
    response = case.call(timeout=30)
    case.validate_response(response)
    if response.status_code == 200 and case.method == "POST":
        assert "x-max-tokens" in response.headers
    assert fast_server.process.poll() is None
