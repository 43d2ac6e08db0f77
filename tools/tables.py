"""The rows of each .def table and the files and functions they name belong together, both ways: part of tidy.py.

A table that is not listed in TABLES is an error too: a new table says here what its rows promise.
"""

import pathlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Every match of `row` names a thing; `where` globs the files in which `defined` must be found once."""
    path: str
    row: str
    where: str          # may use {name}
    defined: str        # a pattern; may use {name}
    file_each: bool = False  # each file that `where` finds must have a row of its name


TABLES = [
    Table("src/app/commands.def", r"^COMMAND\((?P<name>\w+),", "src/app/commands/{name}.cpp",
          r"^void add_{name}\(", file_each=True),
    Table("src/models/architectures.def", r"^ARCHITECTURE\(\w+, load_(?P<name>\w+)\)", "src/models/arch/{name}.cpp",
          r"\bload_{name}\(", file_each=True),
    Table("src/api/endpoints.def", r'^ENDPOINT\(\w+, "[^"]*", (?P<name>\w+),', "src/api/endpoints/*.cpp",
          r"^void {name}\("),
    Table("src/sessions/stores.def", r"^SESSION_STORE\((?P<name>\w+),", "src/sessions/stores/{name}.cpp",
          r"\bopen_{name}_store\(", file_each=True),
    Table("src/tensor/block_formats.def", r"^BLOCK_FORMAT\((?P<name>\w+),.*, true\)",
          "src/kernels/reference/dequantize.cpp", r"case DType::{name}:"),
    Table("src/sampling/steps.def", r"^SAMPLING_STEP\((?P<name>\w+),", "src/sampling/steps.cpp", r"^void {name}\("),
    # No setting without effect: somebody reads its field. All that `device` allows today is the same device.
    Table("src/app/settings/settings.def", r"^SETTING\(\w+, (?!device)\w+, (?:\w+\.)*(?P<name>\w+),", "*.cpp",
          r"\b(settings_?|given|limits_?)\.(\w+\.)*{name}\b"),
    Table("src/wire/parameters.def", r"^PARAMETER\((?P<name>\w+), (?!Ignored|Refused)", "src/wire/*.cpp", r'"{name}"'),
    Table("src/wire/schemas.def", r"^SCHEMA\((?P<name>\w+),", "src/wire/parameters.def", r"^PARAMETER\({name},"),
]


def rows_of(table, text):
    """[(line number, name)] of the rows that promise something."""
    row = re.compile(table.row)
    found = ((number, row.search(line)) for number, line in enumerate(text.splitlines(), 1))
    return [(number, match["name"]) for number, match in found if match]


def check_table(table, files):
    findings = []
    names = set()
    for number, name in rows_of(table, files[table.path]):
        names.add(name)
        where, defined = table.where.format(name=name), table.defined.format(name=name)
        places = [path for path in files if pathlib.PurePath(path).match(where)]
        if not any(re.search(defined, files[path], re.MULTILINE) for path in places):
            findings.append(f"{table.path}:{number}: {name}: {where} must hold {defined}")
    if table.file_each:
        for path in files:
            if pathlib.PurePath(path).match(table.where.format(name="*")) and pathlib.PurePath(path).stem not in names:
                findings.append(f"{path}:1: it has no row in {table.path}")
    if not names:
        findings.append(f"{table.path}:1: no row looks like {table.row}")
    return findings


def check(files, tables=None):
    """Findings for a tree, given as {path: text}."""
    tables = TABLES if tables is None else tables
    findings = []
    for table in tables:
        findings += check_table(table, files) if table.path in files else [f"{table.path}:1: the table is gone"]
    known = {table.path for table in tables}
    for path in files:
        if path.endswith(".def") and path not in known:
            findings.append(f"{path}:1: say in tools/tables.py what its rows promise")
        if path.endswith(".def") and not any(f'#include "{path.removeprefix("src/")}"' in text for text in files.values()):
            findings.append(f"{path}:1: nothing includes it")
    return findings
