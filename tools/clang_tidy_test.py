#!/usr/bin/env python3
"""A mark of clang_tidy.py stands for everything that its result depends on."""

import pathlib
import tempfile
import unittest

import clang_tidy


class ClangTidyTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.root = pathlib.Path(self.scratch.name)
        self.write("unity.cxx", f'#include "{self.root}/kv/pool.cpp"\n')
        self.write("kv/pool.cpp", '#include <vector>\n#include "kv/pool.h"\n')
        self.write("kv/pool.h", '#  include "kv/rows.def"\n')
        self.write("kv/rows.def", "ROW(a)\n")
        self.write("kv/other.h", "int other;\n")
        self.entry = {"file": str(self.root / "unity.cxx"), "command": f"clang -I{self.root} -c unity.cxx"}

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def key(self, settings=b""):
        return clang_tidy.key_of(self.entry, settings)

    def test_it_changes_with_whatever_is_included(self):
        seen = {self.key()}
        for name in ("kv/pool.cpp", "kv/pool.h", "kv/rows.def"):
            self.write(name, (self.root / name).read_text() + "// changed\n")
            seen.add(self.key())
        self.assertEqual(len(seen), 4)

    def test_it_changes_with_the_command_and_the_settings(self):
        before = self.key()
        self.assertNotEqual(before, self.key(b"other checks"))
        self.entry["command"] += " -DNDEBUG"
        self.assertNotEqual(before, self.key())

    def test_it_stays_when_something_else_changes(self):
        before = self.key()
        self.write("kv/other.h", "int another;\n")
        self.assertEqual(before, self.key())


if __name__ == "__main__":
    unittest.main()
