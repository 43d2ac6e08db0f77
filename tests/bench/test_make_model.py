"""bench/make_model.py on tiny shapes: the files load in Dunlin's own engine, and bad requests leave nothing behind."""

import gguf
import pytest

import make_model
from conftest import ROOT
from peers import dunlin, peer

SOURCE = ROOT / "tests/data/tiny_plain.gguf"


def kinds(path):
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}


def speeds(binary, model):
    out, _ = peer.execute([binary, "bench", "--model", model, "--prompt", 8, "--generate", 4, "--repeat", 1, "--json"], 60)
    return dunlin.parse(out, "native")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mixed.gguf"
    out = gguf.GGUFWriter(None, "llama")
    make_model.write(make_model.fill(gguf.GGUFReader(SOURCE), "Q4_K_M", make_model.SHAPES["tiny"], out), out, path)
    return path


def test_a_mix_has_the_formats_of_llama_cpp_and_ties_the_output(mixed):
    found = kinds(mixed)
    assert "output.weight" not in found
    assert found["token_embd.weight"] == "Q6_K"
    assert found["blk.0.attn_q.weight"] == "Q4_K"
    assert found["blk.0.attn_v.weight"] in ("Q4_K", "Q6_K")
    assert found["blk.0.attn_norm.weight"] == "F32"


def test_rows_that_are_no_multiple_of_256_fall_back():
    found = {name: make_model.kind_for("Q4_K_M", name, 3, 24, 896, tied=True).name for name in ("attn_q", "token_embd")}
    assert found == {"attn_q": "Q5_0", "token_embd": "Q8_0"}


def test_a_made_model_runs(mixed, binary):
    figures, machine = speeds(binary, mixed)
    assert {figure.kind for figure in figures} == {"prefill", "decode"}
    assert all(figure.tokens_per_s > 0 for figure in figures)
    assert machine["read_gb_per_s"] > 0


@pytest.mark.parametrize("weights", ["Q4_0", "Q8_0", "BF16"])
def test_a_model_is_written_in_another_format(run, tmp_path, weights):
    plain, other = tmp_path / "plain.gguf", tmp_path / "other.gguf"
    assert run("make_model.py", "--from", SOURCE, "--weights", "F32", "--shape", "tiny", plain).returncode == 0
    assert run("make_model.py", "--from", plain, "--weights", weights, other).returncode == 0
    assert gguf.GGUFReader(other).fields["general.file_type"].contents() == gguf.LlamaFileType["MOSTLY_" + weights]
    before, after = gguf.GGUFReader(plain), gguf.GGUFReader(other)
    assert kinds(other)["blk.1.ffn_down.weight"] == weights
    assert [tensor.name for tensor in before.tensors] == [tensor.name for tensor in after.tensors]
    for one, two in zip(before.tensors, after.tensors):
        values = gguf.quants.dequantize(two.data, two.tensor_type)
        assert abs(values - one.data).max() <= abs(one.data).max() / (7 if weights == "Q4_0" else 100)


def test_one_matrix_at_a_time_is_held():
    planned = make_model.fill(gguf.GGUFReader(SOURCE), "Q4_0", make_model.SHAPES["4b"], gguf.GGUFWriter(None, "llama"))
    # All of them would be gigabytes; that they are planned costs nothing, and each is made when asked.
    assert sum(tensor.bytes for tensor in planned) > 1 << 30


@pytest.mark.parametrize("arguments, said", [
    (["--from", "README.md", "--weights", "Q4_0"], "README.md"),
    (["--from", "nothing.gguf", "--weights", "Q4_0"], "nothing.gguf"),
    (["--from", SOURCE, "--weights", "Q4_K"], "cannot"),
    (["--from", SOURCE, "--weights", "Q4_0"], "rows of 40"),
    (["--from", SOURCE, "--weights", "Q9_9"], "Q9_9"),
    (["--from", ROOT / "tests/data/tiny_recurrent.gguf", "--weights", "Q8_0"], "not of the llama architecture"),
])
def test_bad_requests_are_refused_and_leave_nothing(run, tmp_path, arguments, said):
    done = run("make_model.py", *arguments, tmp_path / "out.gguf")
    assert done.returncode != 0
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_noticed_before_writing(monkeypatch, tmp_path):
    monkeypatch.setattr(make_model.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1 << 20}))
    out = gguf.GGUFWriter(None, "llama")
    tensors = make_model.fill(gguf.GGUFReader(SOURCE), "Q4_0", make_model.SHAPES["tiny"], out)
    with pytest.raises(SystemExit, match="1 MiB free"):
        make_model.write(tensors, out, tmp_path / "out.gguf")
    assert not list(tmp_path.iterdir())
