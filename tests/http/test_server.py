"""The server itself: routes, limits, clients that leave, the end."""

import http.client
import json
import re
import subprocess
import time

from conftest import MODEL, binary

LONG = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2000,
        "ignore_eos": True, "stream": True}


def request(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def open_stream(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/chat/completions", json.dumps(LONG))
    answer = connection.getresponse()
    assert answer.status == 200 and answer.readline().startswith(b"data: ")
    return connection, answer


def test_status_routes(server):
    for path in ("/health", "/v1/health", "/readiness", "/metrics", "/models", "/openapi.json"):
        answer, _ = request(server, "GET", path)
        assert answer.status == 200 and answer.headers["x-request-id"], path


def test_errors_have_one_shape(server):
    for method, path, body, status in [
            ("GET", "/nothing", None, 404), ("GET", "/chat/completions", None, 405),
            ("POST", "/chat/completions", "{", 400), ("POST", "/chat/completions", "[]", 400),
            ("POST", "/chat/completions", '{"messages":' + "[" * 100, 400)]:
        answer, text = request(server, method, path, body)
        assert answer.status == status, (path, text)
        error = json.loads(text)["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"]
    assert request(server, "PUT", "/models")[0].headers["Allow"] == "GET, HEAD, OPTIONS"


def test_other_sites_are_refused(server):
    assert request(server, "GET", "/models", headers={"Origin": "http://evil.example"})[0].status == 403
    assert request(server, "GET", "/models",
                   headers={"Origin": server.url, "Host": f"127.0.0.1:{server.port}"})[0].status == 200


def test_openapi_matches_the_router(server):
    paths = json.loads(request(server, "GET", "/openapi.json")[1])["paths"]
    assert "/v1/chat/completions" in paths
    for path, operations in paths.items():
        answer, _ = request(server, "PUT", re.sub(r"{\w+}", "x", path))
        assert answer.status == 405, path
        allowed = set(answer.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}
        assert allowed == {method.upper() for method in operations}, path


def test_a_client_that_leaves_frees_its_sequence(own_server):
    for _ in range(3):
        connection, answer = open_stream(own_server)
        answer.close()
        connection.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if own_server.metric("dunlin_http_requests_total") and "499" in request(
                own_server, "GET", "/metrics")[1]:
            break
        time.sleep(0.05)
    begin = time.monotonic()
    body = json.dumps({**LONG, "stream": False, "max_tokens": 2})
    assert request(own_server, "POST", "/chat/completions", body)[0].status == 200
    assert time.monotonic() - begin < 10


def test_sigterm_lets_streams_finish(own_server):
    short = {**LONG, "max_tokens": 20}
    connection = http.client.HTTPConnection("127.0.0.1", own_server.port, timeout=60)
    connection.request("POST", "/chat/completions", json.dumps(short))
    answer = connection.getresponse()
    answer.readline()
    own_server.terminate()
    assert answer.read().rstrip().endswith(b"data: [DONE]")
    assert own_server.process.wait(30) == 0


def test_port_in_use(server, tmp_path):
    second = subprocess.run(
        [binary(), "serve", "--model", MODEL, "--port", str(server.port)],
        capture_output=True, text=True, timeout=60)
    assert second.returncode != 0
    assert "is in use" in second.stdout + second.stderr
