"""What the real OpenAI client gets from the real binary."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from conftest import ENGINE

HELLO = [{"role": "user", "content": "Hello"}]


def ask(client, model, **more):
    return client.chat.completions.create(
        model=model, messages=HELLO, **{"max_tokens": 12, "temperature": 0, **more})


def test_models(client, model):
    assert client.models.retrieve(model).id == model
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("no/such")
    assert error.value.code == "model_not_found"


def test_a_loaded_model_tells_what_computes_it(client, model):
    ask(client, model)
    told = client.models.retrieve(model)
    assert told.engine == ("fake" if model == "fake" else "native" if ENGINE == "auto" else ENGINE)
    assert told.device and told.why and told.sequences_max >= 1 and told.context_tokens > 0
    assert told.batch_invariant is told.shares_prefixes is (told.engine != "llama.cpp")


def test_chat(client, model):
    answer = ask(client, model)
    assert answer.object == "chat.completion" and answer.model == model
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 12
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_stream_equals_whole(client, model):
    whole = ask(client, model)
    chunks = list(ask(client, model, stream=True, stream_options={"include_usage": True}))
    assert len({c.id for c in chunks}) == 1
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    assert [d.role for d in deltas if d.role] == ["assistant"]
    assert "".join(d.content or "" for d in deltas) == whole.choices[0].message.content
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert reasons == [whole.choices[0].finish_reason]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(c.usage is None for c in chunks[:-1])


def test_no_usage_unasked(client, model):
    assert all(c.choices and c.usage is None for c in ask(client, model, stream=True))


def test_completions(client, model):
    whole = client.completions.create(model=model, prompt="Once", max_tokens=8, temperature=0)
    assert whole.object == "text_completion" and whole.choices[0].text
    parts = client.completions.create(
        model=model, prompt="Once", max_tokens=8, temperature=0, stream=True)
    assert "".join(p.choices[0].text for p in parts) == whole.choices[0].text


def test_max_tokens(client, model):
    answer = ask(client, model, max_tokens=3, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].finish_reason == "length"


def test_seed(client, model):
    def draw(seed):
        return ask(client, model, seed=seed, temperature=1.5).choices[0].message.content
    assert draw(7) == draw(7)
    assert len({draw(seed) for seed in range(6)}) > 1


def test_stop_string(client, model):
    text = ask(client, model, max_tokens=16).choices[0].message.content
    stop = text[len(text) // 2:][:2]
    answer = ask(client, model, max_tokens=16, stop=[stop])
    assert answer.choices[0].message.content == text[:text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("field,value", [
    ("temperature", 3), ("temperature", "warm"), ("top_p", 2), ("n", 0), ("max_tokens", 0),
    ("stop", [""]), ("logit_bias", {"x": 1})])
def test_bad_field_is_named(client, model, field, value):
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, model, extra_body={field: value})
    assert error.value.param == field and error.value.type == "invalid_request_error"


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as error:
        ask(client, "no/such")
    assert error.value.code == "model_not_found" and error.value.param == "model"


def test_long_prompt_says_both_numbers(client, model):
    with pytest.raises(openai.BadRequestError, match="9000 characters; the limit is 8192"):
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "é" * 9000}])


def test_headers(client, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, max_tokens=5, user="me",
        extra_body={"odd": 1})
    assert raw.headers["x-request-id"] and raw.headers["x-max-tokens"] == "5"
    assert raw.headers["x-ignored-params"] == "user, odd"


def test_many_clients_get_the_answer_of_one(client, model):
    alone = ask(client, model, max_tokens=24).choices[0].message.content
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(client, model, max_tokens=24), range(16)))
    assert {a.choices[0].message.content for a in answers} == {alone}
