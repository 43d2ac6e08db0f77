#!/usr/bin/env python3
"""The runner refuses what would prove nothing, and every committed mutant applies to the tree as it is."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("run", str(HERE / "run"))
run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
loader.exec_module(run)

GOOD = """why = "w"
file = "f"
target = "t"
tests = "T.*"
before = "old"
after = "new"
"""


class Parsing(unittest.TestCase):
    def test_reads_a_mutant(self):
        self.assertEqual(run.parse(GOOD)["tests"], "T.*")
        self.assertEqual(run.parse(GOOD.replace('"new"', '""'))["after"], "")

    def test_refuses_what_is_missing_or_unknown(self):
        for text in (GOOD.replace("why", "wyh"), GOOD.replace('"old"', '""'), GOOD + "slow = true\n", "no toml"):
            with self.assertRaises(run.Broken, msg=text):
                run.parse(text)


class Applying(unittest.TestCase):
    def test_replaces_the_one_place(self):
        self.assertEqual(run.mutate(run.parse(GOOD), "the old way"), "the new way")

    def test_says_that_it_does_not_apply(self):
        for source in ("gone", "old and old"):
            with self.assertRaisesRegex(run.Broken, "does not apply any more"):
                run.mutate(run.parse(GOOD), source)

    def test_every_mutant_applies(self):
        mutants = sorted(HERE.glob("*.toml"))
        self.assertGreater(len(mutants), 10)
        for path in mutants:
            with self.subTest(path.stem):
                mutant = run.parse(path.read_text(encoding="utf-8"))
                source = (run.ROOT / mutant["file"]).read_text(encoding="utf-8")
                self.assertNotEqual(run.mutate(mutant, source), source)


if __name__ == "__main__":
    unittest.main()
