"""Every parameter at and beyond its limits, from the server's own OpenAPI document; bad JSON; and what
is not supported. Whatever is sent, the process stays the same and answers."""

import json
import urllib.request

import pytest
from conftest import fake_only
from test_server import request

pytestmark = fake_only
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
COMPLETION = {"prompt": "Hi", "max_tokens": 1}
PATHS = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETION}


@pytest.fixture(scope="module")
def schemas(server):
    with urllib.request.urlopen(server.url + "/openapi.json", timeout=10) as answer:
        paths = json.load(answer)["paths"]
    return {path: paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
            ["properties"] for path in PATHS}


@pytest.fixture(scope="module", autouse=True)
def same_process(server):
    began = server.metric("process_start_time_seconds")
    yield
    assert began > 0 and server.metric("process_start_time_seconds") == began
    assert post(server, "/v1/completions", COMPLETION)[0] == 200


def post(server, path, body):
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    answer, text = request(server, "POST", path, text)
    return answer.status, json.loads(text)


def numeric(schemas, path):
    for name, schema in schemas[path].items():
        if set(schema.get("type", [])) & {"integer", "number"}:
            yield name, schema, "integer" in schema["type"]


@pytest.mark.parametrize("path", PATHS)
def test_numbers_at_their_limits(server, schemas, path):
    names = set()
    for name, schema, whole in numeric(schemas, path):
        names.add(name)
        low, high = schema["minimum"], schema["maximum"]
        step = 1 if whole else 0.001
        inside = [low, high, None]
        if name == "best_of":  # must equal n
            inside = [1, None]
        outside = [low - step if low > -1e18 else -1e19, high + step if high < 1e18 else 1e19, "1e308",
                   "-1e308", "1" + "0" * 400, "9223372036854775808" if high < 1e18 else "1e30",
                   "true", '"5"', "[]", "[1]", "{}"] + (["0.5"] if whole else [])
        extra = {"logprobs": True} if name == "top_logprobs" else {}
        for value in inside:
            status, body = post(server, path, {**PATHS[path], **extra, name: value})
            assert status == 200, (name, value, body)
        for value in outside:
            value = value if isinstance(value, str) else json.dumps(value)
            plain = {key: old for key, old in PATHS[path].items() if key != name}
            text = json.dumps({**plain, **extra})[:-1] + f', "{name}": {value}}}'
            status, body = post(server, path, text)
            assert status == 400, (name, value, body)
            if len(value) < 400:
                assert body["error"]["param"] == name, (name, value, body)
    assert {"temperature", "top_p", "min_p", "top_k", "max_tokens", "seed", "n"} <= names


@pytest.mark.parametrize("path", PATHS)
def test_other_types_are_refused(server, schemas, path):
    for name, schema in schemas[path].items():
        kinds = set(schema.get("type", [])) if "type" in schema else None
        if kinds is None or kinds & {"integer", "number"}:
            continue
        for kind, value in [("boolean", True), ("string", "x"), ("array", [[]]), ("object", {"x": []}),
                            ("number", 7)]:
            if kind in kinds:
                continue
            status, body = post(server, path, {**PATHS[path], name: value})
            assert status == 400 and body["error"]["param"].split(".")[0] == name, (name, value, body)


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_supported_is_refused(server, schemas, path):
    refused = [name for name, schema in schemas[path].items() if "enum" in schema]
    assert len(refused) > 7
    for name in refused:
        for value in schemas[path][name]["enum"]:
            assert post(server, path, {**PATHS[path], name: value})[0] == 200, (name, value)
        for value in ("x", 1, True, ["x"], {"type": "json_object"}):
            status, body = post(server, path, {**PATHS[path], name: value})
            assert status == 400 and body["error"]["param"].split(".")[0] == name, (name, value, body)
            assert any(word in body["error"]["message"] for word in ("support", "not", "must be"))


@pytest.mark.parametrize("part", ["image_url", "input_audio", "file", "video"])
def test_other_parts_are_refused(server, part):
    parts = [{"type": "text", "text": "What is this?"}, {"type": part, part: {"url": "x"}}]
    status, body = post(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": parts}]})
    assert status == 400 and body["error"]["param"] == "messages.[0].content.[1].type"


def test_ignored_fields_are_listed(server):
    body = {**CHAT, "user": "u", "store": True, "not_a_field": 1, "stream_options": {}}
    answer, _ = request(server, "POST", "/v1/chat/completions", json.dumps(body))
    assert answer.headers["x-ignored-params"] == "user, store, not_a_field, stream_options"
    status, refused = post(server, "/v1/chat/completions", {**body, "strict_params": True})
    assert status == 400 and refused["error"]["param"] == "user"


BAD_JSON = {
    "empty": "", "half": '{"messages":[', "trailing comma": '{"a":1,}', "comment": '{}//', "two": "{}{}",
    "single quotes": "{'a':1}", "NaN": '{"temperature":NaN}', "Infinity": '{"temperature":-Infinity}',
    "1e999": '{"temperature":1e999}', "lone surrogate": '{"user":"\\ud800"}',
    "reversed surrogates": '{"user":"\\udc00\\ud800"}', "half surrogate": '{"user":"\\ud800x"}',
    "control in string": '{"user":"\n"}', "key twice": '{"n":1,"n":1}',
    "inner key twice": '{"metadata":{"a":1,"a":2}}', "key twice by escape": '{"n":1,"\\u006e":2}',
    "bad UTF-8": b'{"user":"\xff"}', "cut UTF-8": b'{"user":"\xe2\x82"}', "overlong UTF-8": b'{"user":"\xc0\xaf"}',
    "UTF-8 surrogate": b'{"user":"\xed\xa0\x80"}', "byte order mark": b'\xef\xbb\xbf{}',
    "leading zero": '{"n":01}', "plus": '{"n":+1}', "dot": '{"n":1.}', "hex": '{"n":0x1}', "array": "[]",
    "string": '"x"', "number": "1", "null": "null", "NUL": "\0", "NUL in it": '{"n":1\0}',
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(server, name):
    status, body = post(server, "/v1/chat/completions", BAD_JSON[name])
    assert status == 400 and body["error"]["type"] == "invalid_request_error", body


@pytest.mark.parametrize("depth", [65, 1000, 100000])
@pytest.mark.parametrize("inside", ['{"messages":%s}', '{"no_such":%s}', '{"tools":%s}',
                                    '{"messages":[{"role":"user","content":%s}]}', '%s'])
def test_deep_json(server, depth, inside):
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = inside % (opening * depth + "1" + closing * depth)
        assert post(server, "/v1/chat/completions", text)[0] == 400
        assert post(server, "/v1/chat/completions", inside.split("%s")[0] + opening * depth)[0] == 400


def test_big_json(server):
    path = "/v1/chat/completions"
    assert post(server, path, {**CHAT, "x": [0] * 1_100_000})[0] == 400
    assert post(server, path, {**CHAT, "x": {str(i): 0 for i in range(200_000)}})[0] == 200
    assert post(server, path, {**CHAT, "x": "a" * 10_000_000})[0] == 200
    assert post(server, path, json.dumps(CHAT)[:-1] + ',"x":' + "1" * 100_000 + "}")[0] == 400
    assert post(server, path, json.dumps(CHAT)[:-1] + ',"x":0.' + "1" * 100_000 + "}")[0] == 200
    assert post(server, path, {"messages": [{"role": "user", "content": "x"}] * 5000})[0] == 400


def test_token_ids_are_checked(server):
    for ids in ([-1], [2**31], [2**31 - 1], [10**9], [1.5], [], [[1], 2], [[]], [True], [None]):
        status, body = post(server, "/v1/completions", {"prompt": ids, "max_tokens": 1})
        assert status == 400 and body["error"]["param"] == "prompt", (ids, body)
    for key in ("-1", "x", "1.5", "2147483647", "99999999999", ""):
        status, body = post(server, "/v1/completions", {**COMPLETION, "logit_bias": {key: 1}})
        assert status == 400 and body["error"]["param"] == "logit_bias", (key, body)
