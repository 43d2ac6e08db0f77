"""Every example of API.md and of the READMEs does what the document says."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import httpx
import pytest
from blocks import blocks, program
from conftest import HERE, ROOT, binary, endpoints

API = (ROOT / "API.md").read_text()
README, CHINESE = (ROOT / "README.md").read_text(), (ROOT / "README.zh-CN.md").read_text()
RUN = {"sh": "bash", "python": "python", "js": "node"}
READ = {"json": json.loads, "toml": tomllib.loads, "text": str}
# Tells each status and address, beside what curl does.
CURL = "curl() { command curl --silent --max-time 60 -w '%{stderr}\\nSTATUS %{http_code} %{url_effective}\\n' \"$@\"; }\n"


def run(text, language, folder, url, key="none"):
    """What the examples of a language print, as one program; fails where it does."""
    for written, meant in (("http://127.0.0.1:3000", url), ("127.0.0.1:3000", url.removeprefix("http://")),
                           ("SmolLM2-135M-Instruct", "fake"), ("build/release/dunlin", binary()),
                           ("path/to/model.gguf", "tests/data/tiny_plain.gguf")):
        text = text.replace(written, meant)
    (folder / "home").mkdir(parents=True)
    (folder / "curl.sh").write_text(CURL)
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    file = folder / {"sh": "example.sh", "python": "example.py", "js": "example.mjs"}[language]
    file.write_text(program(blocks(text), language))
    command = {"sh": ["bash", "-euo", "pipefail"], "python": [sys.executable],
               "js": ["node", "--import", str(HERE / "browser.mjs")]}[language]
    home = str(folder / "home")
    environment = {name: value for name, value in os.environ.items() if name not in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    environment.setdefault("XDG_CACHE_HOME", str(pathlib.Path.home() / ".cache"))  # where the default model is
    # The root's files are there to read, and what an example writes stays here.
    for name in ("config.example.toml", "tests"):
        (folder / name).symlink_to(ROOT / name)
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=180, cwd=folder,
                          stdin=subprocess.DEVNULL,
                          env={**environment, "DUNLIN_KEY": key, "BASH_ENV": str(folder / "curl.sh"), "HOME": home})
    assert done.returncode == 0, f"{file.read_text()}\n{done.stdout}\n{done.stderr}"
    return done


def refusals(done):
    """"404 /path" of each request of curl that did not end well."""
    lines = [line.split(maxsplit=2)[1:] for line in done.stderr.splitlines() if line.startswith("STATUS ")]
    assert lines
    return [f"{status} /{address.split('/', 3)[3]}" for status, address in lines if not status.startswith("2")]


@pytest.mark.parametrize("language", RUN)
@pytest.mark.parametrize("keys", ["open", "guarded"])
def test_the_interface(request, tmp_path, language, keys):
    server = request.getfixturevalue("server" if keys == "open" else "guarded")
    key = "none" if keys == "open" else server.key

    before = asked(server, key)
    done = run(API, language, tmp_path / "run", server.url, key)
    if language == "sh":
        assert refusals(done) == ["404 /sessions/none", "101 /chat/ws"]

    def missed():
        after = asked(server, key)
        return [pair for pair in endpoints() if after[pair] == before[pair]]
    # The socket is counted a moment after it was closed.
    assert server.eventually(lambda: not missed()), f"no {language} example asks {missed()}"


def asked(server, key):
    """How often each endpoint was called, with and without /v1, by the server's own count."""
    text = httpx.get(server.url + "/metrics", headers={"Authorization": f"Bearer {key}"}).text
    out = dict.fromkeys(endpoints(), 0)
    for labels, value in re.findall(r"^dunlin_http_requests_total\{(.*)\} (\d+)$", text, re.M):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        pair = label["method"], label["route"].removeprefix("/v1").replace("...}", "}")
        if pair in out:
            out[pair] += int(value)
    return out


@pytest.mark.parametrize("language", ["sh", "python"])
@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_the_readmes(server, tmp_path, document, language):
    done = run((ROOT / document).read_text(), language, tmp_path / "run", server.url)
    assert done.stdout.strip()
    if language == "sh":
        assert refusals(done) == []


@pytest.mark.parametrize("document", ["API.md", "README.md", "README.zh-CN.md"])
def test_every_block_has_a_language_and_is_run_or_read(document):
    for block in blocks((ROOT / document).read_text()):
        where = f"{document}:{block.line}"
        if block.language in READ:
            READ[block.language](block.text)
        elif block.language not in RUN:
            assert block.language == "powershell" and block.reason, where


def code(document):
    """The blocks without their comments, which are in the reader's language."""
    def bare(line):
        return line.split("  # ")[0].split("   # ")[0].rstrip()
    return [(block.language, [bare(line) for line in block.text.splitlines() if not line.startswith("#")])
            for block in blocks(document) if block.language != "text"]


def test_both_readmes_have_the_same_code():
    assert code(README) == code(CHINESE)
    assert README.count("\n## ") == CHINESE.count("\n## ")


def test_the_first_blocks_are_the_two_commands():
    assert [block.text for block in blocks(README)[:2]] == ["scripts/serve", "scripts/test"]
