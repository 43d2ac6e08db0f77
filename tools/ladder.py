#!/usr/bin/env python3
"""Checks every #include below SRC against SRC/LADDER: a folder may include only itself and the folders
on its line, and each of those must stand on a line above.

usage: ladder.py SRC
"""

import pathlib
import re
import sys

# Quoted includes that come from outside src: test libraries, the header of the text crate.
EXTERNAL = ("gtest/", "gmock/", "dunlin_text.h")
# Headers of llama.cpp, which change with every version of it: only .cpp files below one folder may.
LLAMACPP, LLAMACPP_FOLDER = re.compile(r"(llama|ggml|gguf)([-.]|$)[^/]*$"), "runner/llamacpp/"
SUFFIXES = {".h", ".cpp", ".def", ".cu", ".cuh"}
INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|<((?:llama|ggml|gguf)[-.][^>/]*)>)')


def read_ladder(path):
    """{folder: set of folders it may include}, and what is wrong with the file itself."""
    allowed, errors = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, _, lower = line.partition(":")
        for name in lower.split():
            if name not in allowed:
                errors.append(f"{path}:{number}: {folder} allows {name}, which stands on no line above")
        allowed[folder.strip()] = set(lower.split())
    return allowed, errors


def check(src):
    allowed, errors = read_ladder(src / "LADDER")
    for path in sorted(p for p in src.rglob("*") if p.suffix in SUFFIXES):
        parts = path.relative_to(src).parts
        if len(parts) == 1:
            errors.append(f"{path}: files belong into a folder of the ladder, not beside it")
            continue
        if parts[0] not in allowed:
            errors.append(f"{path}: the folder {parts[0]} is not on the ladder")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            name = match and (match[1] or match[2])
            if not match or name.startswith(EXTERNAL):
                continue
            target = name.split("/")[0]
            if LLAMACPP.match(name):
                if path.suffix != ".cpp" or not path.relative_to(src).as_posix().startswith(LLAMACPP_FOLDER):
                    errors.append(f"{path}:{number}: {name}: only a .cpp below {LLAMACPP_FOLDER} may")
            elif not (src / name).is_file():
                errors.append(f'{path}:{number}: "{name}" is no file below {src}')
            elif target != parts[0] and target not in allowed[parts[0]]:
                errors.append(f"{path}:{number}: {parts[0]} must not include {target}")
    return errors


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or "the ladder holds")
    sys.exit(1 if found else 0)
