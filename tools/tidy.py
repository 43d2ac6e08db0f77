#!/usr/bin/env python3
"""Checks the rules of the house that no compiler knows, in every file that git tracks.

usage: tidy.py ROOT
Prints one finding a line, "path:line: what is wrong and what to do", and fails when there is one.
"""

import pathlib
import re
import subprocess
import sys

LINES_MAX = 1000
CODE = {".h", ".cpp", ".def", ".inc", ".rs"}

# (suffixes, pattern, paths that may, what to do instead)
RULES = [
    ({".h", ".cpp"}, r"\bstd::regex\b|#\s*include\s*<regex>", (),
     "std::regex crashes on long input; write the scan by hand"),
    ({".h", ".cpp"}, r"\babort\(", ("src/base/check.cpp", "bench/", "fuzz/"),
     "use CHECK from base/check.h"),
    ({".h", ".cpp"}, r"\b(strto(l|ll|ul|ull|f|d|ld)|ato(i|l|ll|f))\(", ("bench/",),
     "it takes rubbish and knows locales; use std::from_chars"),
    ({".h"}, r"#\s*include\s*<(boost/(beast|json)|spdlog|CLI|toml\+\+)[/.]", (),
     "costly to include: only a .cpp may"),
    (CODE | {".py", ".md", ".cmake", ""}, r"\b(TODO|FIXME)\b", ("tools/",),
     "do it, or leave it out"),
]
RULES = [(suffixes, re.compile(pattern), paths, advice) for suffixes, pattern, paths, advice in RULES]
CHECKED = CODE.union(*(rule[0] for rule in RULES))


def check_file(name, text):
    """The findings in one file, given its path below the root and its text."""
    suffix = pathlib.PurePath(name).suffix
    lines = text.splitlines()
    findings = []
    if suffix in CODE and len(lines) > LINES_MAX:
        findings.append(f"{name}:1: {len(lines)} lines; {LINES_MAX} are the limit: split it")
    for suffixes, pattern, paths, advice in RULES:
        if suffix not in suffixes or (paths and name.startswith(paths)):
            continue
        for number, line in enumerate(lines, 1):
            found = pattern.search(line)
            if found:
                findings.append(f"{name}:{number}: {found[0].strip()}: {advice}")
    return findings


def check(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True)
    findings = []
    for name in sorted(filter(None, listed.stdout.split("\0"))):
        if pathlib.PurePath(name).suffix in CHECKED:
            findings += check_file(name, (root / name).read_text(encoding="utf-8"))
    return findings


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or "tidy")
    sys.exit(1 if found else 0)
