"""Where bench/ lies, and a fixture that runs its programs."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))


@pytest.fixture
def run():
    """run(program of bench/, arguments...): what came of it, with text."""
    def start(program, *arguments):
        return subprocess.run([sys.executable, ROOT / "bench" / program, *map(str, arguments)], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return start


@pytest.fixture
def binary():
    return os.environ.get("DUNLIN_BINARY", ROOT / "build/dev/dunlin")
