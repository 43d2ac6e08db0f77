"""Models that only llama.cpp computes, from the file to the answer, and files that no engine can use: each has one clear
error, over HTTP and on the terminal."""

import concurrent.futures
import json
import os
import struct
import subprocess

import conftest
import openai
import pytest
import tiny_gguf
from conftest import ENGINE, binary
from test_server import request

pytestmark = pytest.mark.skipif(ENGINE != "llama.cpp", reason="needs a build with llama.cpp")

QUESTION = [{"role": "user", "content": "the train on the other rail"}]


@pytest.mark.parametrize("name", ["gpt2", "phi2", "qwen2", "gemma", "mamba"])
def test_an_architecture_that_only_llamacpp_knows(start, tmp_path, name):
    server = start(getattr(tiny_gguf, name)(tmp_path / f"{name}.gguf"), DUNLIN_MODELS__ENGINE="auto")
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0, timeout=60)

    def answer(**more):
        return client.chat.completions.create(model=name, messages=QUESTION, temperature=0, max_tokens=40,
                                              extra_body={"ignore_eos": True}, **more)
    first = answer()
    assert first.usage.completion_tokens == 40 and first.choices[0].finish_reason == "length"
    text = first.choices[0].message.content
    assert answer().choices[0].message.content == text, "with the prompt's beginning in the cache"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in answer(stream=True) if chunk.choices) == text
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        several = [one.choices[0] for one in pool.map(lambda _: answer(logprobs=True), range(4))]
    assert all(len(one.logprobs.content) == 40 for one in several)
    model = json.loads(request(server, "GET", f"/models/{name}")[1])
    assert (model["architecture"], model["engine"], model["state"]) == (name, "llama.cpp", "loaded")
    assert f'the native engine does not know the architecture "{name}"' in model["why"]


def changed(data, key, value):
    """With another number under a key of 32 bits."""
    at = data.index(key.encode()) + len(key) + 4
    return data[:at] + struct.pack("<I", value) + data[at + 4:]


def larger_than_memory(path):
    """The first tensor reaches over a hole that takes no room on the disk."""
    data = bytearray(tiny_gguf.qwen2(path).read_bytes())
    name = b"blk.1.ffn_down.weight"  # the last one
    at = data.index(name) + len(name) + 4
    bytes_before = struct.unpack_from("<QQIQ", data, at)
    rows = (1 << 42) // (4 * tiny_gguf.INNER)
    data[at:at + 28] = struct.pack("<QQIQ", tiny_gguf.INNER, rows, *bytes_before[2:])
    path.write_bytes(data)
    os.truncate(path, len(data) + (1 << 42))


UNFIT = {  # what becomes of a good file, and what the error must say
    "bert": (tiny_gguf.bert, ["embeddings", "token by token"]),
    "dream": (tiny_gguf.dream, ["diffusion", "token by token"]),
    "abacus": (tiny_gguf.unknown, ['the native engine does not know the architecture "abacus"',
                                   'llama.cpp does not know the architecture "abacus"', "dunlin doctor"]),
    "no-layers": (lambda good: changed(good, "qwen2.block_count", 0), ["qwen2.block_count", "1 to 512", "damaged"]),
    "more-layers": (lambda good: changed(good, "qwen2.block_count", 3), ["blk.2.attn_norm.weight", "not found"]),
    "other-width": (lambda good: changed(good, "qwen2.embedding_length", 65), ["token_embd.weight", "wrong shape"]),
    "lost-tensor": (lambda good: good.replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight"), ["blk.1.attn_q.weight"]),
    "cut": (lambda good: good[:len(good) // 2], ["beyond the end of the file", "complete?"]),
    "cut-header": (lambda good: good[:500], ["longer than the rest of the file"]),
    "no-gguf": (lambda good: b"<!DOCTYPE html>" + good, ["not a GGUF file"]),
    "version": (lambda good: good[:4] + struct.pack(">I", 3) + good[8:], ["big-endian"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("unfit")
    good = tiny_gguf.qwen2(made / "good.gguf").read_bytes()
    for name, (make, _) in UNFIT.items():
        path = made / f"{name}.gguf"
        path.write_bytes(make(good)) if make.__name__ == "<lambda>" else make(path)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory, folder):
    one = conftest.Server(tmp_path_factory.mktemp("server"), None, DUNLIN_MODELS__ENGINE="auto",
                          DUNLIN_MODELS__FOLDER=str(folder))
    yield one.wait()
    one.end()


def refusal(server, name):
    answer, text = request(server, "POST", "/v1/chat/completions",
                           json.dumps({"model": name, "messages": QUESTION, "max_tokens": 1}))
    return answer.status, json.loads(text).get("error")


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_file_is_refused_over_http(server, name):
    status, error = refusal(server, name)
    assert (status, error["code"]) == (500, "corrupt")
    for words in UNFIT[name][1]:
        assert words in error["message"]
    assert "failed to load model" not in error["message"]
    model = json.loads(request(server, "GET", f"/models/{name}")[1])
    assert model["state"] == "failed" and UNFIT[name][1][0] in model["reason"]
    assert refusal(server, "good")[0] == 200  # the others do not notice


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_file_is_refused_on_the_terminal(folder, name):
    done = generate(folder / f"{name}.gguf")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and done.stdout == "" and last.startswith("dunlin: ")
    for words in UNFIT[name][1]:
        assert words in last


def generate(path):
    return subprocess.run([binary(), "generate", "--model", str(path), "--prompt", "x", "--max-tokens", "1"],
                          capture_output=True, text=True, timeout=60)


def test_a_model_that_is_larger_than_the_memory(start, tmp_path):
    path = tmp_path / "large.gguf"
    larger_than_memory(path)
    done = generate(path)
    assert done.returncode == 1 and "main memory has" in done.stderr and "smaller or more quantized" in done.stderr
    server = start(None, DUNLIN_MODELS__ENGINE="auto", DUNLIN_MODELS__FOLDER=str(tmp_path))
    status, error = refusal(server, "large")
    assert (status, error["code"]) == (503, "out_of_memory") and "smaller or more quantized" in error["message"]
