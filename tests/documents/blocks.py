"""The blocks of code in a document. One that cannot run has the line `<!-- not run: REASON -->` before it, which no
reader sees."""

import dataclasses
import re

NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


@dataclasses.dataclass
class Block:
    language: str
    text: str
    line: int  # of its first line of code
    section: str  # the heading it stands under, of any level but the fourth
    reason: str  # why it is not run; empty: it is


def blocks(document):
    found, section, reason, lines = [], "", "", document.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("```"):
            end = lines.index("```", at)
            found.append(Block(line[3:], "\n".join(lines[at:end]), at + 1, section, reason))
            at, reason = end + 1, ""
        elif mark := NOT_RUN.fullmatch(line):
            reason = mark[1]
        elif line.strip():
            assert not reason, f"line {at}: no block of code follows \"not run: {reason}\""
            if re.match(r"#{1,3} ", line):
                section = line.lstrip("#").strip()
    return found


def program(found, language):
    """All blocks of the language as one program; each line keeps its number, so that errors name the document's."""
    lines = []
    for block in found:
        if block.language == language and not block.reason:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"
