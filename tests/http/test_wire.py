"""What clients read from the bytes: frames, chunks, choices, logprobs, errors, headers."""

import http.client
import json

import pytest
from conftest import fake_only
from test_server import request

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 12}


def post(server, path, body, **headers):
    answer, text = request(server, "POST", path, json.dumps(body), headers)
    return answer, json.loads(text)


def frames(server, path, body):
    """The chunks of a stream; every frame must be `data: ` and JSON, the last one [DONE]."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", path, json.dumps({**body, "stream": True}))
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"
    text = answer.read().decode()  # fails on half a character
    connection.close()
    events = [line for line in text.split("\n\n") if line and not line.startswith(":")]
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    assert events[-1] == "data: [DONE]"
    return [json.loads(event[6:]) for event in events[:-1]]


@pytest.mark.parametrize("n", [1, 3])
def test_chat_chunks(server, n):
    body = {**HELLO, "n": n, "temperature": 1, "seed": 5, "stream_options": {"include_usage": True}}
    chunks = frames(server, "/v1/chat/completions", body)
    assert {(c["id"], c["object"], c["created"], c["model"], c["system_fingerprint"]) for c in chunks} == {
        (chunks[0]["id"], "chat.completion.chunk", chunks[0]["created"], chunks[0]["model"],
         chunks[0]["system_fingerprint"])}
    assert chunks[0]["id"].startswith("chatcmpl-") and chunks[0]["system_fingerprint"].startswith("dunlin-")
    for index, chunk in enumerate(chunks[:n]):  # the first of each choice, in order
        assert chunk["choices"] == [{"index": index, "delta": {"role": "assistant", "content": ""},
                                     "logprobs": None, "finish_reason": None}]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    usage = chunks[-1]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
                          "completion_tokens_details"}
    texts, reasons = [""] * n, [None] * n
    for chunk in chunks[n:-1]:
        (choice,) = chunk["choices"]
        assert "role" not in choice["delta"]
        assert reasons[choice["index"]] is None, "nothing follows the end of a choice"
        texts[choice["index"]] += choice["delta"].get("content", "")
        reasons[choice["index"]] = choice["finish_reason"]
        if choice["finish_reason"]:
            assert choice["delta"] == {}
    assert set(reasons) <= {"stop", "length"}
    _, whole = post(server, "/v1/chat/completions", {**body, "stream_options": None})
    assert [c["message"]["content"] for c in whole["choices"]] == texts
    assert [c["finish_reason"] for c in whole["choices"]] == reasons
    assert whole["object"] == "chat.completion" and whole["usage"]["prompt_tokens"] == usage["prompt_tokens"]
    assert whole["choices"][0]["message"]["role"] == "assistant"
    assert whole["choices"][0]["message"]["refusal"] is None


def test_several_prompts(server):
    prompts = ["Once upon", "A dog", "12345"]
    body = {"prompt": prompts, "max_tokens": 6, "temperature": 0, "n": 2, "echo": True}
    _, whole = post(server, "/v1/completions", body)
    assert [c["index"] for c in whole["choices"]] == list(range(6))
    alone = [post(server, "/v1/completions", {**body, "prompt": p})[1] for p in prompts]
    for i, choice in enumerate(whole["choices"]):
        assert choice["text"] == alone[i // 2]["choices"][i % 2]["text"]
        assert choice["text"].startswith(prompts[i // 2])
    for kind in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert whole["usage"][kind] == sum(one["usage"][kind] for one in alone)
    texts = [""] * 6
    for chunk in frames(server, "/v1/completions", body):
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert texts == [c["text"] for c in whole["choices"]]


def test_several_prompts_fail_together(server):
    answer, body = post(server, "/v1/completions", {"prompt": [[1], [10**9]], "max_tokens": 2})
    assert answer.status == 400 and body["error"]["param"] == "prompt"
    assert post(server, "/v1/completions", {"prompt": ["x"] * 33, "n": 2})[0].status == 400
    assert post(server, "/v1/completions", {"prompt": ["x"] * 65})[0].status == 400


def test_chat_logprobs(server):
    _, whole = post(server, "/v1/chat/completions", {**HELLO, "logprobs": True, "top_logprobs": 3,
                                                     "ignore_eos": True})
    (choice,) = whole["choices"]
    content = choice["logprobs"]["content"]
    assert choice["logprobs"]["refusal"] is None
    assert len(content) == whole["usage"]["completion_tokens"] == 12
    for token in content:
        assert set(token) == {"token", "logprob", "bytes", "top_logprobs"} and token["logprob"] <= 0
        assert len(token["top_logprobs"]) == 3
        assert all(set(top) == {"token", "logprob", "bytes"} for top in token["top_logprobs"])
        assert token["top_logprobs"][0]["logprob"] == token["logprob"]  # the draw was greedy
    text = bytes(b for token in content for b in token["bytes"]).decode(errors="replace")
    assert text[:-1].startswith(choice["message"]["content"][:-1])
    _, none = post(server, "/v1/chat/completions", HELLO)
    assert none["choices"][0]["logprobs"] is None
    answer, error = post(server, "/v1/chat/completions", {**HELLO, "top_logprobs": 3})
    assert answer.status == 400 and error["error"]["param"] == "top_logprobs"


@fake_only  # which ends one answer in three within 100 tokens
def test_the_end_token_has_no_logprob(server):
    for seed in range(40):
        _, whole = post(server, "/v1/chat/completions", {
            **HELLO, "logprobs": True, "seed": seed, "temperature": 1.5, "max_tokens": 400})
        (choice,) = whole["choices"]
        tokens = len(choice["logprobs"]["content"])
        if choice["finish_reason"] == "stop":
            assert tokens == whole["usage"]["completion_tokens"] - 1
            return
        assert tokens == whole["usage"]["completion_tokens"]
    pytest.skip("no answer ended by itself")


def test_completion_logprobs(server):
    body = {"prompt": "Once", "max_tokens": 8, "temperature": 0, "logprobs": 2, "ignore_eos": True}
    _, whole = post(server, "/v1/completions", body)
    logprobs = whole["choices"][0]["logprobs"]
    assert set(logprobs) == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    assert [len(logprobs[key]) for key in logprobs] == [8] * 4
    assert logprobs["text_offset"][0] == 0 and sorted(logprobs["text_offset"]) == logprobs["text_offset"]
    for token, top in zip(logprobs["tokens"], logprobs["top_logprobs"]):
        assert token in top and len(top) <= 3
    answer, error = post(server, "/v1/completions", {**body, "logprobs": 6})
    assert answer.status == 400 and error["error"]["param"] == "logprobs"


def test_stop_strings(server):
    _, whole = post(server, "/v1/completions", {"prompt": "Once", "max_tokens": 30, "temperature": 0,
                                                "ignore_eos": True})
    text = whole["choices"][0]["text"]
    stop = text[len(text) // 2:][:3]
    for stops in (stop, [stop], ["never seen", stop, stop + "x"]):
        body = {"prompt": "Once", "max_tokens": 30, "temperature": 0, "ignore_eos": True, "stop": stops}
        _, cut = post(server, "/v1/completions", body)
        assert cut["choices"][0]["text"] == text[:text.index(stop)]
        assert cut["choices"][0]["finish_reason"] == "stop"
        streamed = "".join(c["choices"][0]["text"] for c in frames(server, "/v1/completions", body))
        assert streamed == cut["choices"][0]["text"]
    _, empty = post(server, "/v1/completions", {**body, "stop": []})
    assert empty["choices"][0]["text"] == text


def test_nulls_are_absent(server):
    names = ["model", "max_tokens", "temperature", "top_p", "n", "stream", "stop", "logit_bias", "seed",
             "tools", "response_format", "user", "stream_options", "logprobs", "max_completion_tokens"]
    body = {"messages": HELLO["messages"], **{name: None for name in names}, "max_completion_tokens": 2}
    assert post(server, "/v1/chat/completions", body)[0].status == 200
    _, both = post(server, "/v1/chat/completions", {**HELLO, "max_tokens": 9, "max_completion_tokens": 3,
                                                    "ignore_eos": True})
    assert both["usage"]["completion_tokens"] == 3


def test_history(server):
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "a", "name": "x"},
                {"role": "assistant"}, {"role": "assistant", "content": None, "refusal": None, "tool_calls": []},
                {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
                {"role": "system", "content": "A late one."}, {"role": "user", "content": "d"}]
    answer, body = post(server, "/v1/chat/completions", {"messages": messages, "max_tokens": 2})
    assert answer.status == 200, body
    assert answer.headers["x-ignored-params"] == "messages.name"


@fake_only  # a context of 8192 bytes
def test_context_overflow(server):
    ids = {"prompt": [65] * 8192, "max_tokens": 1}
    answer, body = post(server, "/v1/completions", ids)
    error = body["error"]
    assert answer.status == 400 and error["code"] == "context_length_exceeded" and error["param"] == "prompt"
    assert error["message"].startswith("This model's maximum context length is 8192 tokens. However, your "
                                       "messages resulted in 8192 tokens")


def test_headers_of_every_answer(server):
    for method, path, body in [("GET", "/health", None), ("GET", "/nope", None), ("PUT", "/models", None),
                               ("POST", "/v1/chat/completions", "{"),
                               ("POST", "/v1/chat/completions", json.dumps(HELLO))]:
        answer, _ = request(server, method, path, body)
        for name in ("x-request-id", "openai-processing-ms", "Date"):
            assert answer.headers[name], (path, name)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert request(server, "GET", "/health", None, {"x-request-id": "mine"})[0].headers["x-request-id"] == "mine"


def test_methods(server):
    answer, text = request(server, "HEAD", "/models")
    assert answer.status == 200 and text == "" and int(answer.headers["Content-Length"]) > 10
    answer, text = request(server, "OPTIONS", "/v1/chat/completions")
    assert answer.status == 204 and answer.headers["Allow"] == "POST, OPTIONS" and text == ""
    answer, text = request(server, "DELETE", "/v1/chat/completions")
    assert answer.status == 405 and json.loads(text)["error"]["code"] == "method_not_allowed"


def test_model_names(server):
    listed = json.loads(request(server, "GET", "/v1/models")[1])
    assert listed["object"] == "list"
    for model in listed["data"]:
        assert model["object"] == "model" and isinstance(model["created"], int) and model["owned_by"]
        for path in (model["id"], model["id"].replace("/", "%2F"), model["id"].replace("/", "%2f")):
            assert json.loads(request(server, "GET", f"/v1/models/{path}")[1])["id"] == model["id"]
    for path in ("no/such", "no%2Fsuch"):
        answer, text = request(server, "GET", f"/v1/models/{path}")
        error = json.loads(text)["error"]
        assert answer.status == 404 and error["code"] == "model_not_found" and error["param"] == "model"
    answer, body = post(server, "/v1/chat/completions", {**HELLO, "model": "no/such"})
    assert answer.status == 404 and body["error"]["code"] == "model_not_found"


def test_browsers(server):
    own = f"127.0.0.1:{server.port}"

    def ask(method="POST", kind="application/json", **headers):
        headers = {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return request(server, method, "/v1/chat/completions" if method == "POST" else "/v1/models",
                       json.dumps({**HELLO, "max_tokens": 1}), headers)[0].status
    assert ask(Origin=f"http://{own}", Sec_Fetch_Site="same-origin") == 200
    assert ask(Origin=f"http://localhost:{server.port}", Host=f"localhost:{server.port}") == 200
    assert ask(kind="text/plain") == 200  # no browser
    assert ask(kind="text/plain", Origin=f"http://{own}") == 415
    assert ask(Origin="http://evil.example") == 403
    assert ask(Origin="null") == 403
    assert ask(Origin=f"http://{own}", Host="rebound.example") == 403
    assert ask("GET", Host="rebound.example", Sec_Fetch_Site="same-origin") == 403
    assert ask("GET", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors") == 403
    assert ask("GET", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200
    assert ask("GET", Upgrade="websocket", Host="rebound.example") == 403
