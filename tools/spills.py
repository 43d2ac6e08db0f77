#!/usr/bin/env python3
"""Checks that the innermost loops of the kernels keep their numbers in registers.

usage: spills.py OBJDUMP OBJECT...
A compiler that runs out of registers moves some of them to the stack and back in every round, silently: unrolling one
loop too many did that to every multiplication with AVX2. So in the innermost loops that multiply matrices or attend to
keys, at most one in SELDOM vector instructions that multiply may have another that meets a fixed place on the stack.
"""

import re
import subprocess
import sys

KERNELS = re.compile(r"multiply_(rows|shape|plain|pairs|bfloats)|in_tiles|in_runs|_strips")
SELDOM = 8
# Of x86 and of ARM.
WORKS = re.compile(r"\b(vpmaddubsw|vpdpbusd|vdpbf16ps|vfmadd\w+ps|sdot|smlal2?|fmla)\b")
STACK = re.compile(r"-?(0x[0-9a-f]+)?\(%rsp\)|\[sp\b")
VECTOR = re.compile(r"%[xyz]mm|\bq[0-9]+\b")
JUMP = re.compile(r"\b(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\S+,)\s+(?:0x)?([0-9a-f]+)\b")
RETURN = re.compile(r"ret")


def functions(objdump, path):
    """Name and [(address, instruction)] of each function."""
    text = subprocess.run([objdump, "-d", "-C", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    for name, body in re.findall(r"^[0-9a-f]+ <(.*)>:\n((?:\s+[0-9a-f]+:.*\n?)+)", text, re.M):
        yield name, [(int(address, 16), line) for address, line in re.findall(r"^\s+([0-9a-f]+):\s+(.*)$", body, re.M)]


def innermost_loops(code):
    """(first, last) address of each loop that no other lies in. A jump back over a return leads to it: no loop."""
    returns = [address for address, line in code if RETURN.match(line)]
    backward = [(int(found[1], 16), address) for address, line in code
                if (found := JUMP.search(line)) and code[0][0] <= int(found[1], 16) <= address]
    backward = [loop for loop in backward if not any(loop[0] <= place <= loop[1] for place in returns)]
    return [loop for loop in set(backward)
            if not any(loop[0] <= other[0] and other[1] <= loop[1] for other in set(backward) if other != loop)]


def spills(code):
    """The loops' spills, and how many loops were looked at."""
    found, looked = [], 0
    for first, last in innermost_loops(code):
        lines = [line for address, line in code if first <= address <= last]
        works = sum(bool(WORKS.search(line)) for line in lines)
        spilled = [line for line in lines if STACK.search(line) and VECTOR.search(line)]
        looked += works > 0
        if works >= SELDOM and len(spilled) * SELDOM > works:
            found += spilled
    return found, looked


def main():
    loops, wrong = 0, []
    for path in sys.argv[2:]:
        for name, code in functions(sys.argv[1], path):
            if not KERNELS.search(name):
                continue
            found, looked = spills(code)
            loops += looked
            if found:
                wrong.append(f"{path}: {name.split('(')[0]}:\n    " + "\n    ".join(found[:5]))
    print("\n".join(wrong) or f"{loops} innermost loops keep their numbers in registers")
    return 1 if wrong or loops == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
