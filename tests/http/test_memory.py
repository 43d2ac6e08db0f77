"""What a model takes of the memory is no more than is said, and nothing of it is without a name."""

import pathlib

import pytest
from openai import OpenAI

from conftest import ENGINE, MODEL, real_only

pytestmark = real_only

MODELS = pathlib.Path.home() / ".cache/dunlin/models"
MEGABYTE = 1_000_000


def part(server, name):
    return server.metric("dunlin_model_memory_bytes", part=name)


def ask(server, prompt):
    client = OpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0, timeout=120)
    client.completions.create(model=client.models.list().data[0].id, prompt=prompt, max_tokens=8)


def test_each_part_is_named(own_server):
    before = own_server.metric("dunlin_model_memory_bytes")
    ask(own_server, "a b c " * 40)
    assert before == 0, "nothing is loaded before the first question"
    assert part(own_server, "kv_total") > 0
    assert part(own_server, "kv_cached") > 0, "the prompt is kept"
    assert part(own_server, "kv_used") == 0
    assert part(own_server, "kv_cached") < part(own_server, "kv_total")


@pytest.mark.skipif(ENGINE == "llama.cpp", reason="the native engine's promise")
def test_the_process_holds_the_file_the_context_and_little_more(own_server):
    file_bytes = (MODELS / f"{MODEL}.Q4_1.gguf").stat().st_size
    for words in (1, 150, 550):
        ask(own_server, "Tell me more. " * words)
        context = part(own_server, "kv_used") + part(own_server, "kv_cached")
        resident = own_server.metric("process_resident_memory_bytes")
        print(f"{words} times: {resident / MEGABYTE:.0f} MB, of them {context / MEGABYTE:.0f} of context")
        assert part(own_server, "weights") <= 1.05 * file_bytes
        assert resident <= file_bytes + context + 90 * MEGABYTE
