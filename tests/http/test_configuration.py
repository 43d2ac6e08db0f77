"""Settings and the command line of the real program: files, variables, flags, and what is said when they are wrong."""

import json
import math
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import MODEL, ROOT, Server, binary

TINY = ROOT / "tests/data/tiny_plain.gguf"
REAL = MODEL not in ("fake", "")
GOOD_MODEL = f'[[model]]\nid = "a"\npath = "{TINY}"\n'


def run(*arguments, env=None, text=None, limit_s=60):
    """One run of the program: exit code, stdout, stderr, seconds."""
    began = time.monotonic()
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, timeout=limit_s,
                          input=text, text=True, env={**os.environ, **(env or {})}, check=False)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


def refused(*arguments, env=None):
    """What the program says when it ends with exit code 2, which takes less than a second."""
    for _ in range(3):  # a busy machine may be slow once
        code, out, err, seconds = run(*arguments, env=env)
        assert code == 2 and not out, (code, out, err)
        assert err.rstrip().splitlines()[-1].startswith("dunlin: ")
        if seconds < 1:
            return err
    pytest.fail(f"took {seconds} s")


# (file, line, what the message must hold besides); the first line is 1.
BAD_FILES = [
    ("[server]\nport = 65536", 2, "server.port: 65536 is not a whole number from 0 to 65535"),
    ("[server]\nport = -1", 2, "from 0 to 65535"),
    ("[server]\nport = \"3000\"", 2, "write 3000"),
    ("[server]\nport = 3000.0", 2, "from 0 to 65535"),
    ("[server]\nport = nan", 2, "nan is not"),
    ("[server]\nport = inf", 2, "inf is not"),
    ("[server]\nport = true", 2, "true is not a whole number"),
    ("[server]\nport = [3000]", 2, "an array is not"),
    ("[server]\nport = {}", 2, "a table is not"),
    ("[server]\nport = 1979-05-27", 2, "a date or time is not"),
    ("[server]\nport = 99999999999999999999", 2, ""),
    ("[server]\nport =", 2, ""),
    ("[server\nport = 1", 1, ""),
    ("[server]\nport = 1\nport = 2", 3, "port"),
    ("[server]\n\n[server]", 3, "server"),
    ("[server]\nprot = 1", 2, "did you mean server.port?"),
    ("[server]\nqueue_max = 1", 2, "did you mean limits.queue_max?"),
    ("[sever]\nport = 1", 1, "did you mean server?"),
    ("port = 1", 1, "did you mean server.port?"),
    ("[limits.queue_max]\na = 1", 1, "limits.queue_max: a table is not"),
    ("server = 1", 1, "write [server]"),
    ("[[server]]\nport = 1", 1, "write [server]"),
    ("[server]\nhost = \"localhots\"", 2, "an IP address or \"localhost\""),
    ("[server]\nhost = \"\"", 2, "an IP address"),
    ("[server]\nhost = \"127.0.0.1:3000\"", 2, "an IP address"),
    ("[server]\nhost = \"0.0.0.0\"", 2, "set server.allow_unauthenticated_network = true"),
    ("[server]\nhost = \"::\"", 2, "allow_unauthenticated_network"),
    ("[server]\nlog_level = \"verbose\"", 2, "\"debug\", \"info\", \"warning\", \"error\", \"off\""),
    ("[server]\nlog_level = \"INFO\"", 2, "one of"),
    ("[server]\nallow_unauthenticated_network = 1", 2, "true or false"),
    ("[server]\nallow_unauthenticated_network = \"true\"", 2, "write true"),
    ("[server]\nallowed_hosts = \"a\"", 2, "write [\"a\"]"),
    ("[server]\nallowed_hosts = [1]", 2, "a list of host names"),
    ("[server]\nallowed_hosts = [\"http://a\"]", 2, "host names without ports"),
    ("[server]\nidle_timeout_s = 0", 2, "from 1 to 86400"),
    ("[models]\ndevice = \"gpu\"", 2, "\"auto\", \"cpu\", \"cuda\""),
    ("[models]\nengine = \"llamacpp\"", 2, "\"native\", \"llama.cpp\""),
    ("[models]\ndevice_layers = 1001", 2, "\"auto\", or a whole number from 0 to 1000"),
    ("[models]\ndevice_layers = \"7\"", 2, "write 7"),
    ("[models]\nkv_type = \"f32\"", 2, "\"f16\", \"int8\", \"q8_0\""),
    ("[models]\nthreads = 100000", 2, "from 0 to 256"),
    ("[models]\nkv_tokens = 9223372036854775807", 2, "0, or a whole number from 16 to 16777216"),
    ("[models]\ncontext_tokens_max = 1", 2, "0, or a whole number from 16"),
    ("[models]\ndefault = \"nobody\"", 2, "listed; allowed: "),
    ("[models]\naliases = { a = 1 }", 2, "a table of names"),
    ("[models]\naliases = { a = \"nobody\" }", 2, "not listed"),
    (GOOD_MODEL + "[models.aliases]\na = \"a\"", 4, "the name of a model"),
    ("[models]\nfolder = \"/nowhere/at/all\"", 2, "No such file"),
    ("[models]\nslice_ratio = nan", 2, "nan is not a number from 0 to 100"),
    ("[models]\nslice_ratio = -0.5", 2, "a number from 0 to 100"),
    ("[models]\nslice_ratio = \"0.5\"", 2, "write 0.5"),
    ("[[models]]\nid = \"a\"", 1, "[[model]] for each model"),
    ("[model]\nid = \"a\"", 1, "write [[model]]"),
    ("[[model]]\nid = \"a\"", 1, "model.path: each [[model]] needs one"),
    (f"[[model]]\npath = \"{TINY}\"", 1, "model.id: each [[model]] needs one"),
    ("[[model]]\nid = \"a\"\npath = \"none.gguf\"", 1, "none.gguf: No such file"),
    ("[[model]]\nid = \"a\"\npath = \"/\"", 1, "is a folder; name the .gguf file in it"),
    (f"[[model]]\nid = \"a\"\npath = \"{__file__}\"", 1, "is not a GGUF file"),
    ("[[model]]\nid = \"a\"\npath = \"/dev/zero\"", 1, "not a plain file"),
    ("[[model]]\nid = \"\"\npath = \"/\"", 2, "1 to 256 bytes"),
    (GOOD_MODEL + "context = 1", 4, "model.context: there is no such setting"),
    (GOOD_MODEL + "context_tokens_max = -1", 4, "from 16 to 16777216"),
    (GOOD_MODEL + "engine = \"\"", 4, "\"same\", or one of \"auto\""),
    (GOOD_MODEL + "device_layers = \"all\"", 4, "\"same\", \"auto\", or a whole number"),
    (GOOD_MODEL + GOOD_MODEL, 4, "\"a\" is listed already, at "),
    ("a = " + "[" * 1000, 1, "nested"),
    (".".join("a" * 400) + " = 1", 1, "no such section"),
    ("a = \"" + "b" * 2000 + "\"", 1, "longer than 1024 bytes"),
    ("[server]\nhost = \"\x01\"", 2, ""),
]


@pytest.mark.parametrize("text, line, what", BAD_FILES)
def test_bad_files_are_refused_with_line_and_fix(tmp_path, text, line, what):
    path = tmp_path / "config.toml"
    path.write_text(text + "\n")
    err = refused("check-config", "--config", path)
    first = err.splitlines()[0]
    assert first.startswith(f"{path}:{line}: ") and what in err
    assert len(first) > len(f"{path}:{line}: ") + 15
    # Serving comes to the same words, before it does anything.
    assert refused("serve", "--config", path, "--port", "0") == err


def bad_contents(path):
    yield path / "none.toml", "No such file"
    yield path, "is a folder"
    yield pathlib.Path("/dev/zero"), "not a plain file"
    for name, data, what in [("big.toml", b"# much\n" * 1500000, "at most 1048576 are allowed"),
                             ("latin.toml", b'[server]\nhost = "\xe9"\n', ":2: "),
                             ("utf16.toml", "[server]\n".encode("utf-16"), ":1: "),
                             ("zero.toml", b"[server]\nport = 3\0\n", ":2: "),
                             ("model.toml", TINY.read_bytes(), "")]:
        (path / name).write_bytes(data)
        yield path / name, what
    os.mkfifo(path / "fifo")
    yield path / "fifo", "not a plain file"


def test_what_is_no_settings_file_is_refused(tmp_path):
    for path, what in bad_contents(tmp_path):
        err = refused("check-config", "--config", path)
        assert err.startswith(str(path)) and what in err and len(err) < 1000


def test_a_file_that_is_all_wrong_is_refused_quickly(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("".join(f"k{i} = 1\n" for i in range(50000)))
    err = refused("check-config", "--config", path)
    assert len(err.splitlines()) < 110 and "and 49900 more" in err


def test_bad_variables_and_flags_are_named():
    assert "DUNLIN_SERVER__PORT: server.port: \"x\" is not" in refused(
        "check-config", env={"DUNLIN_SERVER__PORT": "x"})
    assert "did you mean DUNLIN_SERVER__PORT?" in refused(
        "check-config", env={"DUNLIN_SERVER__PRT": "1"})
    assert "DUNLIN_NO__SUCH: there is no such setting" in refused(
        "serve", env={"DUNLIN_NO__SUCH": "1"})
    assert "--port: server.port: \"-1\" is not" in refused("serve", "--port", "-1")
    assert "--device: models.device: \"gpu\" is not one of \"auto\", \"cpu\"" in refused(
        "serve", "--device", "gpu")
    assert "set server.allow_unauthenticated_network = true" in refused("serve", "--host", "0.0.0.0")
    err = refused("serve", "--port", "x", "--threads", "y", env={"DUNLIN_LIMITS__QUEUE_MAX": "0"})
    assert len(err.splitlines()) == 4


def test_wrong_use_is_one_clear_line():
    for arguments, what in [
            ([], "give a command: serve generate"), (["srve"], "did you mean serve?"),
            (["serve", "--prt", "1"], "did you mean --port?"), (["serve", "x"], "did not expect x"),
            (["serve", "--port"], "--port"), (["serve", "--model", "nobody"], "listed: "),
            (["inspect"], "MODEL is required"), (["inspect", "nobody"], "MODEL: nobody: "),
            (["inspect", "/"], "is a folder"), (["tokenize"], "give a TEXT"),
            (["tokenize", "--model", "fake", "--decode", "1,x"], "not a list of token ids"),
            (["tokenize", "--model", "fake", "--decode", "257"], "there is no token 257"),
            (["generate"], "give --prompt TEXT or --tokens"),
            (["generate", "--prompt", "a", "--tokens", "1"], "excludes"),
            (["generate", "--tokens", "1,,2"], "write 1,2,3"),
            (["generate", "--prompt", "a", "--max-tokens", "0"], "--max-tokens"),
            (["generate", "--prompt", "a", "--logprobs", "0"], "--logprobs"),
            (["generate", "--prompt", "a", "--temperature", "-1"], "--temperature")]:
        err = refused(*arguments)
        assert what in err and len(err.splitlines()) == 1, err


def test_the_example_and_the_document_are_those_of_the_table():
    for name, flag in [("config.example.toml", "--example"), ("docs/CONFIGURATION.md", "--document")]:
        code, out, _, _ = run("check-config", flag)
        assert code == 0 and out == (ROOT / name).read_text(), f"dunlin check-config {flag} > {name}"
    assert run("check-config", "--config", ROOT / "config.example.toml")[0] == 0


def test_show_tells_where_each_value_comes_from(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[server]\nport = 1\nping_s = 2\n" + GOOD_MODEL)
    code, out, err, _ = run("check-config", "--config", path, "--show", "--port", "3",
                            env={"DUNLIN_LIMITS__QUEUE_MAX": "4"})
    assert code == 0 and not err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "port = 3 # --port" in lines and f"ping_s = 2 # {path}:3" in lines
    assert "queue_max = 4 # DUNLIN_LIMITS__QUEUE_MAX" in lines and "drain_s = 30 # default" in lines
    assert f"[[model]] # {path}:4" in lines


def test_the_file_is_looked_for_where_the_user_keeps_it_and_nowhere_else(tmp_path):
    (tmp_path / "dunlin").mkdir()
    (tmp_path / "dunlin/config.toml").write_text("[server]\nport = 77\n")
    here = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert "port = 77" in run("check-config", "--show", env=here)[1]
    done = subprocess.run([binary(), "check-config", "--show"], cwd=tmp_path / "dunlin", text=True,
                          capture_output=True, timeout=60, check=True)
    assert "port = 77" not in done.stdout


def test_a_server_takes_its_settings(tmp_path):
    (tmp_path / "dunlin").mkdir()
    (tmp_path / "dunlin/config.toml").write_text(
        "[server]\nlog_level = \"warning\"\n[limits]\nprompt_characters_max = 5\nresponse_tokens_max = 3\n")
    one = Server(tmp_path, "fake", XDG_CONFIG_HOME=str(tmp_path)).wait()
    try:
        def ask(text):
            body = json.dumps({"prompt": text, "max_tokens": 50, "ignore_eos": True}).encode()
            try:
                with urllib.request.urlopen(one.url + "/v1/completions", body, timeout=60) as answer:
                    return answer.read()
            except urllib.error.HTTPError as error:
                return error.read()
        assert json.loads(ask("abcde"))["usage"]["completion_tokens"] == 3
        assert "5" in json.loads(ask("abcdef"))["error"]["message"]
        assert "request" not in one.output()
    finally:
        one.end()


def generate(*arguments, **more):
    code, out, err, _ = run("generate", "--json", *arguments, **more)
    assert code == 0, err
    return json.loads(out)


def test_generate_prints_tokens_and_logprobs():
    one = generate("--model", TINY, "--tokens", "1,2,3", "--max-tokens", "6", "--logprobs", "4")
    assert one["prompt_tokens"] == [1, 2, 3] and len(one["tokens"]) == 6
    assert one["finish_reason"] == "length" and one["text"] == ""
    assert len(one["logprobs"]) == 6 and all(len(best) == 4 for best in one["logprobs"])
    for token, best in zip(one["tokens"], one["logprobs"]):
        values = [logprob for _, logprob in best]
        assert best[0][0] == token and values == sorted(values, reverse=True) and values[0] <= 0
    assert {"load_ms", "prefill_ms", "decode_ms"} <= set(one["timings"])
    assert "logprobs" not in generate("--model", TINY, "--tokens", "1", "--max-tokens", "1")
    code, _, err, _ = run("generate", "--model", TINY, "--prompt", "a")
    assert code == 1 and "no vocabulary; give token ids" in err


def test_generate_shows_the_end_token_and_its_logprobs():
    # The fake model ends sooner or later; then its end token is the last one, with its own list.
    for seed in range(50):
        one = generate("--model", "fake", "--prompt", f"go {seed}", "--max-tokens", "1000", "--logprobs", "2")
        assert len(one["tokens"]) == len(one["logprobs"])
        if one["finish_reason"] == "stop":
            assert one["tokens"][-1] == 256 and one["logprobs"][-1][0][0] == 256
            more = generate("--model", "fake", "--prompt", f"go {seed}", "--max-tokens", "1000", "--ignore-eos")
            assert more["finish_reason"] == "length" and len(more["tokens"]) == 1000
            return
    pytest.fail("no answer ended by itself")


def test_generate_is_the_same_for_a_seed_and_reads_standard_input():
    options = ["--model", "fake", "--temperature", "1.5", "--seed", "-7", "--max-tokens", "20"]
    one = generate(*options, "--prompt", "abc")
    assert one["prompt_tokens"] == [97, 98, 99]
    again = generate(*options, "--prompt", "-", text="abc\n")
    assert one["tokens"] == again["tokens"] and one["text"] == again["text"]


def test_a_listed_model_has_its_own_settings(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(GOOD_MODEL + "context_tokens_max = 16\n[models]\naliases = { tiny = \"a\" }\n")
    for name in ([], ["--model", "a"], ["--model", "tiny"]):
        one = generate("--config", path, *name, "--tokens", "1,2,3", "--max-tokens", "100", "--ignore-eos")
        assert len(one["prompt_tokens"]) + len(one["tokens"]) == 16


def test_inspect_shows_what_is_in_a_file():
    code, out, _, _ = run("inspect", TINY)
    assert code == 0 and "token_embd.weight" in out and "general.architecture" in out
    shown = json.loads(run("inspect", TINY, "--json")[1])
    assert shown["architecture"] == shown["metadata"]["general.architecture"] == "llama"
    assert shown["bytes"] == TINY.stat().st_size
    assert shown["parameters"] == sum(
        math.prod(tensor["shape"]) for tensor in shown["tensors"])
    code, out, err, _ = run("inspect", __file__)
    assert code == 1 and not out and "not a GGUF file" in err


def doctor(*arguments, code=0):
    got, out, err, _ = run("doctor", *arguments)
    assert got == code and not err, (out, err)
    return out


def test_doctor_tells_what_would_compute_the_model(tmp_path):
    data = ["--data-dir", tmp_path / "data"]
    told = json.loads(doctor("--json", "--model", TINY, *data))
    assert told["able"] and told["model"]["engine"] == "native" and told["model"]["device"] == "cpu"
    assert told["model"]["why"] and told["model"]["problem"] is None
    assert told["model"]["file_bytes"] == TINY.stat().st_size and told["cores"] >= 1
    assert isinstance(told["large_pages"], bool)
    assert told["instruction_set_in_use"] in told["instruction_sets"] and told["memory_bytes"] > 0
    assert told["engines"][0] == "native" and run("--version")[1].split()[1] == told["version"]
    assert all(one["name"] and one["kind"] and one["description"] for one in told["devices"])
    assert told["data_folder"] == {"path": str(tmp_path / "data"), "problem": None}
    text = doctor("--model", TINY, *data)
    assert "The model can be served" in text and str(TINY) in text and told["version"] in text
    assert json.loads(doctor("--json", "--model", "fake", *data))["model"]["engine"] == "fake"
    assert not (tmp_path / "data").exists()


def test_doctor_tells_what_is_missing(tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(TINY.read_bytes()[:1000])
    for arguments, what in [
            (["--model", cut], str(cut)),
            (["--model", TINY, "--engine", "native", "--device", "cuda"], "computes on the CPU"),
            (["--model", TINY, "--device", "cuda77"], "no device \"cuda77\""),
            (["--model", TINY, "--data-dir", cut], "is not a folder"),
            (["--model", TINY, "--data-dir", cut / "below"], "Not a directory")]:
        if "--data-dir" not in arguments:
            arguments = [*arguments, "--data-dir", tmp_path]
        text = doctor(*arguments, code=1)
        assert "NO: " in text and what in text and "cannot be served" in text
        told = json.loads(doctor("--json", *arguments, code=1))
        assert not told["able"]
        assert what in (told["model"]["problem"] or "") + (told["data_folder"]["problem"] or "")


def test_an_architecture_that_native_lacks_needs_the_other_engine(tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(TINY.read_bytes().replace(b"llama", b"other"))
    assert "does not know the architecture \"other\"" in run("generate", "--model", other, "--tokens", "1",
                                                             "--engine", "native")[2]
    code, out, err, _ = run("generate", "--model", other, "--tokens", "1")
    assert code == 1 and not out and ("does not know" in err or "unknown model architecture: 'other'" in err)
    if "llama.cpp" not in json.loads(doctor("--json", "--model", "fake", "--data-dir", tmp_path))["engines"]:
        assert "scripts/build full" in err
        for flags, what in [(["--engine", "llama.cpp"], "scripts/build full"), (["--device", "cuda"], "finds here: cpu")]:
            for command in (["generate", "--tokens", "1"], ["serve", "--port", "0", "--data-dir", tmp_path]):
                code, _, err, _ = run(*command, "--model", TINY, *flags)
                assert code == 1 and what in err and len(err.splitlines()) == 1


def test_tokenize_and_back():
    text = "héllo\tworld"
    shown = json.loads(run("tokenize", "--model", "fake", text, "--json")[1])
    assert bytes(shown["tokens"]).decode() == text and len(shown["pieces"]) == len(shown["tokens"])
    ids = run("tokenize", "--model", "fake", "-", "--ids", text=text + "\n")[1].strip()
    assert ids == ",".join(map(str, text.encode()))
    assert run("tokenize", "--model", "fake", "--decode", ids)[1] == text + "\n"
    assert r"\xC3" in run("tokenize", "--model", "fake", text)[1]


@pytest.mark.skipif(not REAL, reason="needs a real vocabulary")
def test_special_tokens_are_tokens_or_letters():
    def ids(*more):
        return json.loads(run("tokenize", "--model", MODEL, "<|im_start|>", "--json", *more)[1])
    assert ids()["tokens"] == ids("--special")["tokens"] == [1]
    assert ids()["pieces"] == ["<|im_start|>"]
    assert len(ids("--no-special")["tokens"]) > 3


def test_help_and_version():
    code, out, _, _ = run("--version")
    assert code == 0 and out.startswith("dunlin 0.") and "compiler: " in out and "portable" in out
    for command in [[], ["serve"], ["generate"], ["tokenize"], ["inspect"], ["check-config"], ["keys"],
                    ["keys", "new"], ["keys", "hash"]]:
        code, out, err, _ = run(*command, "--help")
        assert code == 0 and not err and "Example" in out and "Usage: dunlin" in out
        assert all(len(line) <= 100 for line in out.splitlines()), command


def test_a_broken_model_file_is_told_at_once(tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(TINY.read_bytes()[:1000])
    code, _, err, _ = run("serve", "--model", path, "--port", "0")
    assert code == 1 and str(path) in err and len(err.splitlines()) == 1
