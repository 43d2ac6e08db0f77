#!/usr/bin/env python3
"""Plants one violation of each kind and demands that ladder.py finds it."""

import pathlib
import tempfile
import unittest

import ladder


class LadderTest(unittest.TestCase):
    def errors(self, files, rungs="low:\nhigh: low\n"):
        with tempfile.TemporaryDirectory() as folder:
            src = pathlib.Path(folder)
            (src / "LADDER").write_text(rungs)
            for name, text in files.items():
                (src / name).parent.mkdir(parents=True, exist_ok=True)
                (src / name).write_text(text)
            return "\n".join(ladder.check(src))

    def test_lawful(self):
        files = {"low/a.h": "", "high/b.cpp": '#include "low/a.h"\n#include <vector>\n'}
        self.assertEqual(self.errors(files), "")

    def test_upward(self):
        files = {"high/b.h": "", "low/a.h": '#include "high/b.h"\n'}
        self.assertIn("low must not include high", self.errors(files))

    def test_unknown_folder(self):
        self.assertIn("not on the ladder", self.errors({"other/a.h": ""}))

    def test_beside_the_ladder(self):
        self.assertIn("belong into a folder", self.errors({"a.cpp": ""}))

    def test_missing_file(self):
        self.assertIn("is no file", self.errors({"low/a.h": '#include "low/b.h"\n'}))

    def test_llamacpp(self):
        rungs, text = "runner:\n", '#include "llama.h"\n#include <ggml-cpu.h>\n'
        self.assertEqual(self.errors({"runner/llamacpp/a.cpp": text}, rungs), "")
        for name in ("runner/llamacpp/a.h", "runner/a.cpp"):
            found = self.errors({name: text}, rungs)
            self.assertIn("llama.h: only a .cpp", found)
            self.assertIn("ggml-cpu.h: only a .cpp", found)

    def test_cycle(self):
        self.assertIn("stands on no line above", self.errors({}, "low: high\nhigh: low\n"))


if __name__ == "__main__":
    unittest.main()
