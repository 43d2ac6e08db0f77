#!/usr/bin/env python3
"""Runs clang-tidy, with the checks that .clang-tidy lists, on what changed since it last passed.

usage: clang_tidy.py BUILD [--all]
BUILD is a folder that `cmake --preset tidy` configured: its sources are joined a rung at a time, so that what they all
include is read once. A group of sources that passed leaves a mark in BUILD/passed, named by the hash of everything the
result depends on: the sources, all they include from this tree, the compiler's command, .clang-tidy and the tool's
version. Where the mark is there, nothing needs to be run. --all runs everything.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOL = "clang-tidy-19"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def inputs(source, folders):
    """source and all that it includes in quotes, directly or not, found beside it or in `folders`; sorted."""
    found, waiting = set(), [source.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            candidates = (folder / name for folder in [path.parent, *folders])
            waiting += [candidate.resolve() for candidate in candidates if candidate.is_file()][:1]
    return sorted(found)


def key_of(entry, settings):
    """The name of the mark for one entry of compile_commands.json."""
    command = shlex.split(entry["command"])
    folders = [pathlib.Path(word[2:]) for word in command if word.startswith("-I")]
    digest = hashlib.sha256(settings)
    digest.update(entry["command"].encode())
    for path in inputs(pathlib.Path(entry["file"]), folders):
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stand_in(build, entries):
    """Puts an empty file where a source would be generated: joined sources include it, and it is not ours to check."""
    for entry in entries:
        source = pathlib.Path(entry["file"])
        named = [source, *map(pathlib.Path, INCLUDE.findall(source.read_text(encoding="utf-8")) if source.is_file() else ())]
        for path in named:
            if path.is_relative_to(build) and not path.exists():
                path.touch()


def check(build, entry):
    """What clang-tidy finds, empty when all is well, and the seconds it took."""
    start = time.monotonic()
    done = subprocess.run([TOOL, "-p", str(build), "--quiet", entry["file"]], capture_output=True, text=True, check=False)
    findings = "" if done.returncode == 0 else done.stdout + done.stderr
    return findings, time.monotonic() - start


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    marks = build / "passed"
    marks.mkdir(exist_ok=True)
    version = subprocess.run([TOOL, "--version"], capture_output=True, check=True).stdout
    settings = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes()).digest()
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    stand_in(build, entries)
    keys = {key_of(entry, settings): entry for entry in entries}
    for mark in marks.iterdir():
        if mark.name not in keys:
            mark.unlink()
    wanted = {key: entry for key, entry in keys.items() if "--all" in sys.argv[2:] or not (marks / key).exists()}

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(check, build, entry): key for key, entry in wanted.items()}
        for future in concurrent.futures.as_completed(running):
            findings, seconds = future.result()
            key = running[future]
            name = os.path.relpath(wanted[key]["file"], build)
            print(f"{seconds:6.1f} s  {name}{findings and chr(10) + findings}", flush=True)
            if findings:
                failed += 1
                (marks / key).unlink(missing_ok=True)
            else:
                (marks / key).touch()
    print(f"clang-tidy: {len(wanted)} of {len(keys)} groups of sources read, {failed} with findings")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
