"""What scripts/build and scripts/setup install on machines that are not here: apt and dpkg are stubs."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUBS = {
    "bin/dpkg-query": "exit 1",  # nothing is installed
    "bin/id": "echo 0",
    "bin/apt-get": 'echo "$@" >>"$APT"',
    "bin/cmake": "exit",
    "scripts/setup-node": "exit",
}


@pytest.fixture
def tree(tmp_path):
    """A source tree of the two scripts alone, and the stubs."""
    for folder in ("scripts", "bin"):
        (tmp_path / folder).mkdir()
    for script in ("setup", "build"):
        shutil.copy(ROOT / "scripts" / script, tmp_path / "scripts")
    for path, text in STUBS.items():
        (tmp_path / path).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (tmp_path / path).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("preset, wanted, unwanted", [
    ("release", {"clang-19", "cmake"}, {"glslc", "libvulkan1", "g++", "chromium"}),
    ("full", {"clang-19"}, {"glslc", "libvulkan1", "g++"}),
    ("full-vulkan", {"clang-19", "glslc", "libvulkan1"}, {"g++", "chromium"}),
    ("full-cuda", {"clang-19", "g++"}, {"glslc", "chromium"}),
])
def test_a_build_installs_what_its_preset_needs(tree, preset, wanted, unwanted):
    subprocess.run([tree / "scripts/build", preset],
                   env={"PATH": f"{tree}/bin:/usr/bin:/bin", "HOME": str(tree), "APT": str(tree / "apt")},
                   capture_output=True, text=True, timeout=30, check=True)
    installed = set((tree / "apt").read_text().split())
    assert wanted <= installed and not unwanted & installed
