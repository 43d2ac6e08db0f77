"""The tables of bench/compare, and how it goes on without an engine."""

import importlib.machinery
import importlib.util
import json

import pytest

import report
from conftest import ROOT
from peers.peer import Figure, Peer, Plan, Unavailable

MACHINE = {"cpu": "A Processor", "cores": 2, "instruction_set": "avx2", "read_gb_per_s": 10.04,
           "multiply_gmac_per_s": 99.6, "multiply_kind": "AVX2 f32"}


@pytest.fixture(scope="module")
def compare():
    loader = importlib.machinery.SourceFileLoader("compare", str(ROOT / "bench/compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


def sample(peer, rate, setting="", peak=None, kind="prefill", streams=1):
    return {"model": "smol.Q4_1", "peer": peer, "kind": kind, "streams": streams, "tokens_per_s": rate, "setting": setting,
            "peak_percent": peak}


@pytest.fixture
def found():
    return {"date": "2026-01-02", "machine": MACHINE, "rounds": 3, "prompt": 512, "generate": 32, "context": 128, "threads": 2,
            "peers": {"native": {"version": "abc", "note": ""}, "llama.cpp": {"version": "1", "note": "how"},
                      "OpenVINO": {"version": "2", "note": ""}},
            "missing": [{"peer": "mistral.rs", "model": "", "reason": "no network"},
                        {"peer": "OpenVINO", "model": "smol.Q4_1", "reason": "unknown format"}],
            "samples": [sample("native", rate, peak=40) for rate in (1300, 1200, 1250)]
            + [sample("llama.cpp", rate, setting) for rate, setting in ((500, "on"), (510, "off"), (400, "on"))]
            + [sample("native", 12.5, peak=90, kind="decode", streams=8)]}


def test_markdown(found):
    lines = report.markdown(found).splitlines()
    assert "2026-01-02, A Processor, 2 cores, 2 threads, kernels for avx2; these threads read 10.0 GB/s" in lines[0]
    assert "llama.cpp: 1, how." in lines
    assert "Not measured: mistral.rs: no network." in lines
    assert "Not measured: OpenVINO on smol.Q4_1: unknown format." in lines
    assert lines[-4:] == [
        "| model | test | native | of the limit | llama.cpp |",
        "|---|---|---|---|---|",
        "| smol.Q4_1 | prefill, 512 tokens | 1,250 (1,200 to 1,300) | 40 % | 500 (400 to 510), 2.50 |",
        "| smol.Q4_1 | decode, 8 streams | 12.5 | 90 % |  |"]


def test_table_for_people(found):
    lines = [line.split() for line in report.text(found).splitlines()]
    assert ["smol.Q4_1", "prefill,", "512", "tokens", "llama.cpp", "500", "400", "to", "510", "2.50", "x", "on"] in lines
    assert ["smol.Q4_1", "decode,", "8", "streams", "native", "12.5", "90", "%", "of", "the", "limit"] in lines


def test_what_was_saved_is_printed_in_any_form(run, tmp_path, found):
    saved = tmp_path / "found.json"
    saved.write_text(json.dumps(found))
    assert json.loads(run("compare", "--from", saved, "--json").stdout) == found
    assert run("compare", "--from", saved, "--markdown").stdout == report.markdown(found)


class Steady(Peer):
    name, version = "native", "1"

    def prepare(self):
        pass

    def run(self, model):
        return [Figure("prefill", 1, 100.0, "off"), Figure("prefill", 1, 120.0, "on")]


class Broken(Steady):
    name = "llama.cpp"

    def run(self, model):
        raise Unavailable("out of memory")


class Absent(Steady):
    name = "OpenVINO"

    def prepare(self):
        raise Unavailable("no network")


def test_engines_that_fail_are_named_and_the_others_go_on(compare, monkeypatch, tmp_path):
    monkeypatch.setattr(compare, "PEERS", {peer.name: peer for peer in (Steady, Broken, Absent)})
    (tmp_path / "model.gguf").touch()
    found = {"samples": [], "missing": []}
    peers = compare.prepared(["native", "llama.cpp", "OpenVINO"], Plan(), None, found["missing"])
    assert len(list(compare.measure([str(tmp_path / "model.gguf")], Plan(), peers, 2, found))) == 1
    assert [(one["peer"], one["reason"]) for one in found["missing"]] == [
        ("OpenVINO", "no network"), ("llama.cpp", "out of memory")]
    assert [(one["peer"], one["round"], one["tokens_per_s"]) for one in found["samples"]] == [
        ("native", 1, 120.0), ("native", 2, 120.0)]


@pytest.mark.parametrize("arguments", [
    ["--peers", "native,vllm"], ["--models", "smol"], ["--models", "nowhere/model.gguf"], ["--rounds", "0"],
    ["--streams", "1,x"], ["--streams", ""], ["--isa", "sse"], ["--prompt", "-1"], ["--json", "--markdown"],
    ["--from", "nothing.json"]])
def test_bad_options_are_refused(run, arguments):
    done = run("compare", *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and arguments[-1].split(",")[-1] in done.stderr
