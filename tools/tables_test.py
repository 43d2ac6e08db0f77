#!/usr/bin/env python3
"""Every promise of tables.py, broken on purpose, is found."""

import unittest

import tables

TABLE = tables.Table("src/app/commands.def", r"^COMMAND\((?P<name>\w+),", "src/app/commands/{name}.cpp",
                     r"^void add_{name}\(", file_each=True)
TREE = {
    "src/app/commands.def": '// COMMAND(name, help)\nCOMMAND(serve, "Serve")\n',
    "src/app/commands/serve.cpp": "void add_serve(CLI::App& command) {}\n",
    "src/app/main.cpp": '#include "app/commands.def"\n',
}


class TablesTest(unittest.TestCase):
    def findings(self, change=(), gone=()):
        tree = {path: text for path, text in {**TREE, **dict(change)}.items() if path not in gone}
        return tables.check(tree, [TABLE])

    def test_a_whole_tree_has_no_findings(self):
        self.assertEqual(self.findings(), [])

    def test_a_row_without_its_file(self):
        self.assertIn("serve: src/app/commands/serve.cpp", self.findings(gone=["src/app/commands/serve.cpp"])[0])

    def test_a_row_whose_file_lacks_the_function(self):
        self.assertEqual(len(self.findings({"src/app/commands/serve.cpp": "void add_other() {}\n"})), 1)

    def test_a_file_without_its_row(self):
        self.assertEqual(self.findings({"src/app/commands/old.cpp": ""}),
                         ["src/app/commands/old.cpp:1: it has no row in src/app/commands.def"])

    def test_a_table_that_lost_its_rows_or_itself(self):
        self.assertTrue(self.findings({"src/app/commands.def": ""}))
        self.assertEqual(self.findings(gone=["src/app/commands.def"]), ["src/app/commands.def:1: the table is gone"])

    def test_a_table_that_nobody_told_of(self):
        found = self.findings({"src/kv/new.def": "", "src/kv/a.cpp": '#include "kv/new.def"\n'})
        self.assertEqual(found, ["src/kv/new.def:1: say in tools/tables.py what its rows promise"])

    def test_a_table_that_nothing_includes(self):
        self.assertIn("src/app/commands.def:1: nothing includes it", self.findings({"src/app/main.cpp": ""}))


if __name__ == "__main__":
    unittest.main()
