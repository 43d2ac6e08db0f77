#!/usr/bin/env python3
"""Checks that code compiled for newer processors stays in the kernels for them.

usage: own_symbols.py NM NAME=OBJECT...
A function that several sources define (inline, or a template) is kept once by the linker, from any of them: from the
source with AVX-512, say, and then a machine without it ends on an illegal instruction. So each such function in OBJECT
must have NAME in its own name, which the lanes that it is compiled for give it.
"""

import subprocess
import sys


def shared_symbols(nm, path):
    """The mangled names of what this object defines and the linker may give to others."""
    lines = subprocess.run([nm, "--defined-only", path], capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for _, kind, name in (line.split() for line in lines) if kind in "WVu"]


def main():
    wrong = []
    for argument in sys.argv[2:]:
        name, _, path = argument.partition("=")
        wrong += [f"{path}: {symbol}: others may get this one; make it a template of the lanes"
                  for symbol in shared_symbols(sys.argv[1], path) if name not in symbol]
    print("\n".join(wrong) or "every kernel has its own symbols")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
