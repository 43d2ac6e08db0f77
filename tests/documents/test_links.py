"""Every link within the documents leads somewhere."""

import re
import subprocess

import pytest
from conftest import ROOT

DOCUMENTS = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split()


def anchors(text):
    """What GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links(name):
    file = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", file.read_text(), flags=re.M | re.S)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = file.parent / path if path else file
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), target
