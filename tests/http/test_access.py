"""Keys, limits and other origins on the real binary, with the clients that people use."""

import concurrent.futures
import json
import os
import re
import subprocess
import time

import httpx
import openai
import pytest
import websockets.exceptions
import websockets.sync.client as ws
from conftest import Server, binary, fake_only

pytestmark = fake_only
APP = "https://app.example"
LIMIT = 3  # requests a minute of the key "slow"


def new_key(name, *options):
    """(key, its lines for config.toml), as dunlin keys new gives them."""
    done = subprocess.run([binary(), "keys", "new", name, *options], capture_output=True, text=True, timeout=60,
                          check=True)
    key, = re.findall(r"^ {4}(dl-[A-Za-z0-9_-]{43})$", done.stderr, re.M)
    assert key not in done.stdout
    return key, done.stdout


def start_with(folder, text, model="fake:step_us=0"):
    (folder / "dunlin").mkdir()
    (folder / "dunlin/config.toml").write_text(text)
    return Server(folder, model, XDG_CONFIG_HOME=str(folder), XDG_DATA_HOME=str(folder))


class Guarded:
    """A server with keys."""

    def __init__(self, folder):
        self.ann, ann = new_key("ann")
        self.bob, bob = new_key("bob")
        self.slow, slow = new_key("slow", "--requests-per-minute", str(LIMIT))
        self.tight, tight = new_key("tight", "--requests-per-minute", "1")
        self.off, off = new_key("off")
        self.server = start_with(
            folder, f'[server]\nlog_level = "debug"\n[security]\nauthentication = "on"\ncors_origins = ["{APP}"]\n'
                    f'[limits]\nprompt_characters_max = 400\nbody_bytes_max = 4096\n'
                    + ann + bob + slow + tight + off + "enabled = false\n")
        self.url = self.server.url

    def client(self, key, retries=0):
        return openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=retries, timeout=120)

    def used_up(self):
        """A key that has no request left for almost a minute."""
        while True:
            try:
                ask(self.client(self.tight))
            except openai.RateLimitError:
                return self.tight

    def get(self, path, key=None, **headers):
        given = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.get(self.url + path, headers={**given, **headers})


def ask(client, **more):
    return client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "hi"}], max_tokens=3,
                                          **more)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    one = Guarded(tmp_path_factory.mktemp("guarded"))
    one.server.wait()
    # A client with the library's own retries, whose key has no request left for a minute: it waits while the other
    # tests run, and the last one looks what became of it.
    one.began = time.monotonic()
    for _ in range(LIMIT):
        ask(one.client(one.slow))
    one.patient = concurrent.futures.ThreadPoolExecutor(1).submit(lambda: ask(one.client(one.slow, retries=2)))
    yield one
    one.server.end()


def test_the_library_raises_what_it_has_for_keys(guarded):
    assert guarded.client(guarded.ann).models.list().data[0].id == "fake"
    assert ask(guarded.client(guarded.ann)).usage.completion_tokens == 3
    with pytest.raises(openai.AuthenticationError) as wrong:
        ask(guarded.client("dl-" + "x" * 43))
    assert wrong.value.code == "invalid_api_key" and wrong.value.response.headers["www-authenticate"] == "Bearer"
    with pytest.raises(openai.PermissionDeniedError) as disabled:
        ask(guarded.client(guarded.off))
    assert 'the API key "off" is disabled' in disabled.value.message
    with pytest.raises(openai.RateLimitError) as often:
        ask(guarded.client(guarded.used_up()))
    headers = often.value.response.headers
    assert often.value.code == "rate_limit_exceeded" and "1 request a minute" in often.value.message
    assert 1 <= int(headers["retry-after"]) <= 60
    assert 0 <= int(headers["retry-after"]) * 1000 - int(headers["retry-after-ms"]) < 1000
    assert headers["x-should-retry"] == "true"
    assert headers["x-ratelimit-limit-requests"] == "1" and headers["x-ratelimit-remaining-requests"] == "0"
    assert re.fullmatch(r"(1m)?\d+(\.\d+)?s", headers["x-ratelimit-reset-requests"])


def test_keys_come_in_the_headers_that_clients_use(guarded):
    for headers in ({"authorization": f"bearer {guarded.ann}"}, {"x-api-key": guarded.ann}, {"api-key": guarded.ann}):
        assert httpx.get(guarded.url + "/models", headers=headers).status_code == 200
    for headers in ({}, {"authorization": guarded.ann}, {"authorization": f"Basic {guarded.ann}"},
                    {"cookie": f"key={guarded.ann}"}, {"x-api-key": guarded.ann[:-1]},
                    {"x-api-key": guarded.ann.swapcase()}):
        answer = httpx.get(guarded.url + "/models", headers=headers)
        assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_api_key"
    assert guarded.get(f"/models?api_key={guarded.ann}&key={guarded.ann}").status_code == 401


def test_only_what_is_public_answers_without_a_key(guarded):
    for path in ("/health", "/readiness", "/v1/health", "/v1/readiness"):
        assert guarded.get(path).status_code == 200, path
    assert guarded.get("/").status_code in (200, 404)  # 404 in a build without the page
    document = guarded.get("/openapi.json", guarded.ann).json()
    tried = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if path.removeprefix("/v1") in ("/health", "/readiness"):
                continue
            plain = path.replace("{id}", "x")
            upgrade = {"upgrade": "websocket"} if path.endswith("/chat/ws") else {}
            for key in (None, guarded.off):
                given = {"authorization": f"Bearer {key}"} if key else {}
                if upgrade and not key:
                    continue  # the key may come in the first message: see below
                answer = httpx.request(method, guarded.url + plain, headers=given, content=b"{}" if method in (
                    "post", "patch") else None)
                assert answer.status_code == (403 if key else 401), (method, path)
                tried += 1
    assert tried > 20


@pytest.mark.parametrize("path", ["//models", "/./models", "/x/../models", "/v1//models", "/v1/..;/models", "/%6dodels",
                                  "/MODELS", "/models/", "/models/%00", "/v1/v1/models", "/models?x", "/health/../models",
                                  "/health%2f..%2fmodels", "/metrics;x", "/models#x"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "TRACE", "PUT"])
def test_no_way_of_writing_a_path_goes_around_the_key(guarded, method, path):
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    status = int(guarded.server.raw(request).split()[1])
    assert status in (400, 401, 404, 405), status


def test_metrics_need_a_key_unless_they_are_public(guarded, tmp_path):
    assert guarded.get("/metrics").status_code == 401
    assert "dunlin_http_requests_total" in guarded.get("/metrics", guarded.bob).text
    _, lines = new_key("a")
    one = start_with(tmp_path, "[security]\nmetrics_public = true\n" + lines)
    try:
        one.wait()
        assert httpx.get(one.url + "/metrics").status_code == 200
        assert httpx.get(one.url + "/models").status_code == 401
    finally:
        one.end()


def test_two_keys_share_neither_sessions_nor_prefixes(guarded):
    ann = {"authorization": f"Bearer {guarded.ann}"}
    bob = {"authorization": f"Bearer {guarded.bob}"}
    session = httpx.post(guarded.url + "/sessions", headers=ann, json={"title": "mine"}).json()["id"]
    assert httpx.get(f"{guarded.url}/sessions/{session}", headers=ann).status_code == 200
    for method, path in (("GET", f"/sessions/{session}"), ("DELETE", f"/sessions/{session}"),
                         ("GET", f"/chat/history/{session}"), ("DELETE", f"/chat/history/{session}")):
        assert httpx.request(method, guarded.url + path, headers=bob).status_code == 404
    assert session not in httpx.get(guarded.url + "/sessions", headers=bob).text

    def cached(key):
        answer = guarded.client(key).completions.create(model="fake", prompt="a long beginning " * 20, max_tokens=1)
        return answer.usage.prompt_tokens_details.cached_tokens
    assert cached(guarded.ann) == 0 and cached(guarded.ann) > 100
    assert cached(guarded.bob) == 0 and cached(guarded.bob) > 100


def test_the_websocket_asks_for_a_key(guarded):
    address = guarded.url.replace("http://", "ws://") + "/chat/ws"

    def connect(*protocols, ping_interval=20, **headers):
        return ws.connect(address, subprotocols=["dunlin.chat.v1", *protocols], additional_headers=headers,
                          ping_interval=ping_interval)

    def says(socket, **message):
        socket.send(json.dumps(message))
        return json.loads(socket.recv(timeout=60))
    with connect(authorization=f"Bearer {guarded.ann}") as socket:
        assert says(socket, type="ping")["type"] == "pong"
    with connect(f"dunlin.key.{guarded.ann}") as socket:
        assert socket.subprotocol == "dunlin.chat.v1" and says(socket, type="ping")["type"] == "pong"
    with connect() as socket:
        assert says(socket, type="auth", key=guarded.ann)["type"] == "authenticated"
        assert says(socket, type="ping")["type"] == "pong"
    for first in ({"type": "ping"}, {"type": "auth", "key": "dl-wrong"}, {"type": "auth", "key": guarded.off}):
        with connect() as socket:
            assert says(socket, **first)["type"] == "error"
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                socket.recv(timeout=60)
            assert closed.value.rcvd.code == 4401
    with connect(ping_interval=None) as socket:  # silent: asked for its key, then closed at the next ping
        assert json.loads(socket.recv(timeout=60))["error"]["code"] == "invalid_api_key"
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            socket.recv(timeout=60)
        assert closed.value.rcvd.code == 4401
    for headers, status in (({"authorization": "Bearer dl-wrong"}, 401), ({"x-api-key": guarded.off}, 403)):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            connect(**headers)
        assert refused.value.response.status_code == status
    # Its questions count as other requests do.
    with connect(authorization=f"Bearer {guarded.used_up()}") as socket:
        error = says(socket, type="chat", id="a", message="hi")
        assert error["error"]["code"] == "rate_limit_exceeded" and 1 <= error["retry_after_s"] <= 60


def test_a_listed_origin_asks_first_and_then_reads_everything(guarded):
    preflight = httpx.options(guarded.url + "/v1/chat/completions", headers={
        "origin": APP, "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os,x-other"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == APP and preflight.headers["vary"] == "Origin"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-stainless-os"} <= set(allowed) and "x-other" not in allowed
    assert int(preflight.headers["access-control-max-age"]) > 0

    def post(key, body, path="/v1/chat/completions"):
        return httpx.post(guarded.url + path, headers={"origin": APP, "authorization": f"Bearer {key}"}, json=body)
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    answers = {
        200: post(guarded.ann, body), 401: post("dl-wrong", body), 403: post(guarded.off, body),
        429: post(guarded.used_up(), body), 400: post(guarded.ann, {}), 404: post(guarded.ann, body, "/nothing"),
        413: post(guarded.ann, {"prompt": "x" * 5000}), 405: guarded.get("/completions", guarded.ann, origin=APP)}
    stream = post(guarded.ann, {**body, "stream": True})
    assert stream.headers["content-type"] == "text/event-stream" and "[DONE]" in stream.text
    for status, answer in [*answers.items(), (200, stream)]:
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == APP, status
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers


def test_other_origins_get_nothing(guarded):
    for origin in ("https://evil.example", "http://app.example", "https://app.example.evil.example", "null",
                   "https://app.example:444"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = httpx.request(method, guarded.url + "/v1/models", headers={
                "origin": origin, "authorization": f"Bearer {guarded.ann}", "access-control-request-method": "GET"})
            assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    # The page's own origin needs no leave.
    own = guarded.get("/models", guarded.ann, origin=guarded.url)
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers


def test_who_guesses_is_slowed_down_and_nobody_else(tmp_path):
    key, lines = new_key("a")
    one = start_with(tmp_path, lines)
    try:
        one.wait()
        statuses = [httpx.get(one.url + "/models", headers={"x-api-key": f"guess-{i}"}).status_code for i in range(62)]
        assert statuses == [401] * 60 + [429] * 2
        assert httpx.get(one.url + "/models", headers={"x-api-key": key}).status_code == 200
        assert httpx.get(one.url + "/models").status_code == 401
    finally:
        one.end()


def test_without_keys_clients_are_limited_by_address_and_dummies_pass(tmp_path):
    one = start_with(tmp_path, "[limits]\nrequests_per_minute = 2\n")
    try:
        one.wait()
        statuses = []
        for key in ("one", "two", "three"):
            statuses.append(httpx.post(one.url + "/completions", headers={"authorization": f"Bearer {key}"},
                                       json={"prompt": "a", "max_tokens": 1}).status_code)
        assert statuses == [200, 200, 429]
        assert all(httpx.get(one.url + "/models").status_code == 200 for _ in range(5))
    finally:
        one.end()


def test_overlong_texts_lose_their_middle_where_the_settings_say_so(tmp_path):
    one = start_with(tmp_path, '[limits]\noverlong = "trim"\nprompt_characters_max = 20\nresponse_tokens_max = 4\n')
    try:
        one.wait()

        def post(prompt, tokens=1):
            return httpx.post(one.url + "/completions", json={"prompt": prompt, "max_tokens": tokens, "echo": True})
        cut = post("0123456789" * 3, 100)
        assert cut.status_code == 200 and cut.headers["x-truncated-characters"] == "13"
        assert cut.headers["x-max-tokens"] == "4"
        assert cut.json()["choices"][0]["text"].startswith("012345678 \u2026 23456789")
        assert "x-truncated-characters" not in post("0123456789" * 2).headers
    finally:
        one.end()


def test_a_patient_client_succeeds_as_soon_as_it_was_told(guarded):
    """The library's own retries, obeying Retry-After: no request too early, none much too late."""
    assert guarded.patient.result(timeout=90).usage.completion_tokens == 3
    assert time.monotonic() - guarded.began > 59


def test_no_line_of_the_log_has_a_key(guarded):
    log = guarded.server.output()
    assert "status=401" in log and "API keys are needed" in log
    for key in (guarded.ann, guarded.bob, guarded.slow, guarded.tight, guarded.off):
        assert key not in log and key[3:20] not in log
    assert "dl-" not in log and "guess" not in log


def test_a_key_on_standard_input_becomes_its_hash():
    def hashed(text, *arguments):
        return subprocess.run([binary(), "keys", "hash", *arguments], input=text, capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ})
    key, lines = new_key("a")
    assert hashed(key + "\n").stdout.strip() in lines
    for bad in (hashed("short"), hashed("x" * 600), hashed("a key with many spaces in it"), hashed("", key)):
        assert bad.returncode == 2 and not bad.stdout and key not in bad.stderr
