#!/usr/bin/env python3
"""Checks the rules of the house that no compiler knows, in every file that git tracks.

usage: tidy.py ROOT
Prints one finding a line, "path:line: what is wrong and what to do", and fails when there is one.
"""

import ast
import pathlib
import re
import subprocess
import sys

import tables

LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
BRACES = {".h", ".cpp", ".rs", ".ts", ".js", ".svelte", ".css"}
CODE = {".h", ".cpp", ".def", ".inc", ".rs", ".ts", ".js", ".svelte", ".css", ".py"}

# (suffixes, pattern, paths that may, what to do instead)
RULES = [
    ({".h", ".cpp"}, r"\bstd::regex\b|#\s*include\s*<regex>", (),
     "std::regex crashes on long input; write the scan by hand"),
    ({".h", ".cpp"}, r"\babort\(", ("src/base/check.cpp", "bench/", "fuzz/"),
     "use CHECK from base/check.h"),
    ({".h", ".cpp"}, r"\b(strto(l|ll|ul|ull|f|d|ld)|ato(i|l|ll|f))\(", ("bench/",),
     "it takes rubbish and knows locales; use std::from_chars"),
    ({".h", ".cpp"}, r"\b(strtok|localtime|gmtime|asctime|ctime|rand)\(", (),
     "threads share what it returns; use its *_r, or <random>"),
    ({".h"}, r"#\s*include\s*<(boost/(beast|json)|spdlog|CLI|toml\+\+)[/.]", (),
     "costly to include: only a .cpp may"),
    (CODE | {".md", ".cmake", ".yml", ".toml", ""}, r"\b(TODO|FIXME)\b", ("tools/",),
     "do it, or leave it out"),
]
RULES = [(suffixes, re.compile(pattern), paths, advice) for suffixes, pattern, paths, advice in RULES]
CHECKED = CODE.union(*(rule[0] for rule in RULES))
NOT_A_FUNCTION = re.compile(r"\bdescribe\(|^\s*(namespace|class|struct|enum|union|extern|impl|mod|trait|@media)\b|[^=!<>]=\s*$|\[\] = \{")

PATH = re.compile(r"`((?:src|text|web|tests|tools|scripts|docs|bench|fuzz|cmake)/[\w./-]*)`")


def python_functions(text):
    """(line, lines) of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


def braced_functions(text):
    """(line, lines) of each block with parameters that opens at the left or one step in.

    Formatters put the closing brace under the first character of the line that opened it, and indent all between.
    """
    opened = {}
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if not line.strip() or line.startswith("#") or indent > 4:
            continue
        if line[indent] == "}":
            first, opening = opened.get(indent, (number, ""))
            if "(" in opening and not NOT_A_FUNCTION.search(opening):
                yield first, number - first + 1
        opened[indent] = (number, line)



def check_file(name, text):
    """The findings in one file, given its path below the root and its text."""
    suffix = pathlib.PurePath(name).suffix
    lines = text.splitlines()
    findings = []
    if suffix in CODE and len(lines) > LINES_MAX:
        findings.append(f"{name}:1: {len(lines)} lines; {LINES_MAX} are the limit: split it")
    functions = python_functions if suffix == ".py" else braced_functions
    for number, length in functions(text) if suffix in BRACES | {".py"} else ():
        if length > FUNCTION_LINES_MAX:
            findings.append(f"{name}:{number}: a function of {length} lines; {FUNCTION_LINES_MAX} are the limit: "
                            "take a step out of it")
    for suffixes, pattern, paths, advice in RULES:
        if suffix not in suffixes or (paths and name.startswith(paths)):
            continue
        for number, line in enumerate(lines, 1):
            found = pattern.search(line)
            if found:
                findings.append(f"{name}:{number}: {found[0].strip()}: {advice}")
    return findings


def check_paths(name, text, exists):
    """Findings for `paths` in a document that are not in the tree; <name> and * stand for anything."""
    return [f"{name}:{number}: {path}: there is no such file" for number, line in enumerate(text.splitlines(), 1)
            for path in PATH.findall(line) if not exists(path)]


def check(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True)
    names = [name for name in listed.stdout.split("\0") if pathlib.PurePath(name).suffix in CHECKED]
    files = {name: (root / name).read_text(encoding="utf-8") for name in sorted(names) if (root / name).is_file()}
    findings = []
    for name, text in files.items():
        findings += check_file(name, text)
        if name.endswith(".md"):
            findings += check_paths(name, text, lambda path: (root / path).exists())
    return findings + tables.check({name: text for name, text in files.items() if name.startswith("src/")})


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or "tidy")
    sys.exit(1 if found else 0)
