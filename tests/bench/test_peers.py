"""What each engine prints, read by its adapter; nothing is installed."""

import json
import pathlib

import pytest

from peers import dunlin, ik_llama_cpp, llama_bench, mistralrs, openvino, peer

BATCHED = """
main: n_kv_max = 2048, n_batch = 2048, n_ubatch = 512, flash_attn = 1, is_pp_shared = 0, n_gpu_layers = -1, n_threads = 2

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
|    64 |      8 |    8 |    576 |    5.908 |    86.66 |    5.759 |    11.11 |   11.667 |    49.37 |
"""


def bench_row(**more):
    return {"build_commit": "8cf427ff", "build_number": 5163, "flash_attn": 0, "n_prompt": 512, "n_gen": 0,
            "avg_ts": 7100.0, **more}


def test_dunlin():
    row = {"engine": "llama.cpp", "setting": "flash attention on", "kind": "decode", "streams": 8, "tokens_per_s": 154.5,
           "peak_percent": 31.0}
    text = json.dumps({"results": [row, {**row, "engine": "native"}], "ratios": [], "machine": {"cpu": "one"}})
    assert dunlin.parse(text, "llama.cpp") == (
        [peer.Figure("decode", 8, 154.5, "flash attention on", 31.0)], {"cpu": "one"})


@pytest.mark.parametrize("noise", ["", "a line of its own\n"])
def test_llama_bench(noise):
    text = noise + json.dumps([bench_row(), bench_row(n_prompt=0, n_gen=32, flash_attn=True, avg_ts=110.5)], indent=2)
    figures, build = llama_bench.parse_bench(text, ", repacked")
    assert build == "8cf427ff (5163)"
    assert figures == [peer.Figure("prefill", 1, 7100.0, "flash attention off, repacked"),
                       peer.Figure("decode", 1, 110.5, "flash attention on, repacked")]


def test_llama_batched_bench():
    assert llama_bench.parse_batched(BATCHED, "flash attention on") == [
        peer.Figure("decode", 8, 11.11, "flash attention on")]


def test_mistral_rs():
    line = {"prompt_asked": 512, "prompt_tokens": 512, "prompt_s": 32.0, "generate_asked": 32, "generated": 32, "decode_s": 2.0}
    assert mistralrs.parse("INFO loading\n" + json.dumps(line) + "\n") == [
        peer.Figure("prefill", 1, 16.0), peer.Figure("decode", 1, 16.0)]
    with pytest.raises(peer.Unavailable, match="500 tokens"):
        mistralrs.parse(json.dumps({**line, "prompt_tokens": 500}))


def test_openvino():
    rows = [{"kind": "prefill", "streams": 1, "tokens": 512, "seconds": 2.0}, {"kind": "decode", "streams": 8, "tokens": 64, "seconds": 1}]
    assert openvino.parse(json.dumps(rows)) == [peer.Figure("prefill", 1, 256.0), peer.Figure("decode", 8, 64.0)]
    assert len(openvino.parse("loading\n" + json.dumps(rows * 50))) == 100


@pytest.mark.parametrize("parse", [
    lambda text: dunlin.parse(text, "native"), llama_bench.parse_bench, lambda text: llama_bench.parse_batched(text, ""),
    mistralrs.parse, lambda text: peer.best(openvino.parse(text)),
])
@pytest.mark.parametrize("text", ["", "error: unable to load model", "{}", "[]{", "[{}]", "null", "7"])
def test_what_is_no_figure_is_said(parse, text):
    with pytest.raises(peer.Unavailable):
        parse(text)


def test_the_best_setting_of_each_test_is_kept():
    off, on = peer.Figure("prefill", 1, 10.0, "off"), peer.Figure("prefill", 1, 11.0, "on")
    decode = peer.Figure("decode", 1, 1.0, "off")
    assert peer.best([off, on, decode]) == [on, decode]


def test_a_program_that_fails_hangs_or_is_not_there_is_said(tmp_path):
    with pytest.raises(peer.Unavailable, match="sh ended with 3: no luck"):
        peer.execute(["sh", "-c", "echo no luck >&2; exit 3"], 10)
    with pytest.raises(peer.Unavailable, match="longer than 1 s"):
        peer.execute(["sleep", "30"], 1)
    with pytest.raises(peer.Unavailable, match="No such file"):
        peer.execute([tmp_path / "nothing"], 1)


def test_ik_llama_cpp_runs_in_all_its_modes(tmp_path):
    bench = tmp_path / "llama-bench"
    rows = json.dumps([bench_row(), bench_row(n_prompt=0, n_gen=32, avg_ts=5.0)], indent=2)
    bench.write_text(f"#!/bin/sh\ncase \"$*\" in *'-rtr 1'*) echo '{rows.replace('7100', '9000')}' ;; *) echo '{rows}' ;; esac\n")
    bench.chmod(0o755)
    engine = ik_llama_cpp.IkLlamaCpp(peer.Plan(streams=(1, 8)), bench)
    engine.prepare()
    assert peer.best(engine.run("model.gguf"))[0] == peer.Figure("prefill", 1, 9000.0, "flash attention off, repacked")
    assert "one stream" in engine.note and engine.version == "8cf427ff (5163)"
    with pytest.raises(peer.Unavailable, match="no file"):
        ik_llama_cpp.IkLlamaCpp(peer.Plan(), pathlib.Path(tmp_path / "other")).prepare()
