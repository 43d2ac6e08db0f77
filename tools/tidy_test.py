#!/usr/bin/env python3
"""Every rule of tidy.py finds a violation planted for it, and leaves alone what only looks like one."""

import unittest

import tidy

PLANTED = [
    ("src/net/a.cpp", "std::regex pattern;"),
    ("src/net/a.cpp", "#include <regex>"),
    ("src/net/a.cpp", "std::abort();"),
    ("src/net/a.cpp", "auto n = strtoul(text, &end, 10);"),
    ("src/net/a.h", "auto n = std::atoi(text);"),
    ("src/net/a.cpp", "std::localtime(&now);"),
    ("src/net/a.h", "#include <boost/beast/http.hpp>"),
    ("src/json/a.h", "#include <boost/json.hpp>"),
    ("src/app/a.h", "#include <spdlog/spdlog.h>"),
    ("src/app/a.h", "#include <CLI/CLI.hpp>"),
    ("src/app/a.h", "#include <toml++/toml.h>"),
    ("src/app/a.cpp", "// TODO: later"),
    ("scripts/serve", "# FIXME"),
    ("src/app/a.cpp", "\n" * (tidy.LINES_MAX + 1)),
    ("src/app/a.cpp", "int run(int a,\n        int b) {\n" + "    a += b;\n" * 68 + "}\n"),
    ("src/app/a.h", "class A {\n public:\n    void run() {\n" + "        a();\n" * 69 + "    }\n};\n"),
    ("text/src/a.rs", "pub fn run(a: u32) -> u32 {\n" + "    a();\n" * 69 + "}\n"),
    ("web/src/a.ts", "export function run(a: number) {\n" + "  a();\n" * 69 + "}\n"),
    ("tools/a.py", "def run():\n" + "    a()\n" * 70),
]
ALLOWED = [
    ("src/base/check.cpp", "std::abort();"),
    ("src/json/a.cpp", "#include <boost/json.hpp>"),
    ("src/net/a.cpp", "ask_abort_handler();"),
    ("src/app/a.cpp", "\n" * tidy.LINES_MAX),
    ("src/app/a.cpp", "int run(int a) {\n" + "    a += 1;\n" * 68 + "}\n"),
    ("src/app/a.cpp", "class A {\n" + "    void run(int a) {\n        a += 1;\n    }\n" * 40 + "};\n"),
    ("src/app/a.cpp", "namespace a {  // (b)\n" + "int a;\n" * 80 + "}\n"),
    ("tools/a.py", "def run():\n" + "    a()\n" * 69),
]


class TidyTest(unittest.TestCase):
    def test_finds_each_planted_violation_once(self):
        for name, text in PLANTED:
            with self.subTest(name=name, text=text[:40]):
                self.assertEqual(len(tidy.check_file(name, text)), 1)

    def test_every_rule_has_a_planted_violation(self):
        for _, pattern, _, advice in tidy.RULES:
            self.assertTrue(any(pattern.search(text) for _, text in PLANTED), advice)

    def test_finds_a_path_in_a_document_that_is_not_there(self):
        text = "see `src/kv/gone.h`, `src/kv/there.h`, `src/kv/<name>.h` and `kv`"
        self.assertEqual(tidy.check_paths("docs/A.md", text, lambda path: path == "src/kv/there.h"),
                         ["docs/A.md:1: src/kv/gone.h: there is no such file"])

    def test_leaves_alone_what_is_allowed(self):
        for name, text in ALLOWED:
            with self.subTest(name=name, text=text[:40]):
                self.assertEqual(tidy.check_file(name, text), [])


if __name__ == "__main__":
    unittest.main()
