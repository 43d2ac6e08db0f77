"""scripts/choose-preset on machines that are not here: every tool that it asks is a stub."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ["bash", "grep", "sed", "head"]
NVIDIA = {"nvidia-smi": "echo NVIDIA GeForce RTX 4090"}
BROKEN = {"nvidia-smi": "echo No devices were found; exit 9"}


def summary(*devices):
    """What vulkaninfo --summary prints of these (type, name)."""
    lines = "".join(f"GPU{i}:\n\tapiVersion = 1.3\n\tdeviceType = PHYSICAL_DEVICE_TYPE_{kind}\n\tdeviceName = {name}\n"
                    for i, (kind, name) in enumerate(devices))
    return {"vulkaninfo": f"cat <<'END'\n{lines}END"}


LAVAPIPE = ("CPU", "llvmpipe")
AMD = ("DISCRETE_GPU", "AMD Radeon RX 7900")


@pytest.mark.parametrize("stubs, preset, said", [
    (summary(), "release", ""),
    (summary(LAVAPIPE) | {"glslc": ""}, "release", ""),
    (summary(AMD) | {"glslc": ""}, "full-vulkan", "AMD Radeon RX 7900"),
    (summary(LAVAPIPE, ("INTEGRATED_GPU", "Intel Iris")) | {"glslc": ""}, "full-vulkan", "Intel Iris"),
    (summary(AMD), "release", "neither nvcc"),
    (summary(AMD) | {"dpkg-query": ""}, "full-vulkan", "Debian's glslc"),
    (NVIDIA | {"nvcc": ""} | summary(), "full-cuda", "RTX 4090"),
    (NVIDIA | summary() | {"glslc": ""}, "full-vulkan", "RTX 4090"),
    (NVIDIA | summary(), "release", "neither nvcc"),
    (NVIDIA | summary(LAVAPIPE) | {"dpkg-query": ""}, "release", "neither nvcc"),
    (BROKEN | {"nvcc": ""} | summary(), "release", ""),
    ({"uname": "echo Darwin"}, "full-metal", "macOS"),
])
def test_the_preset_fits_the_machine(tmp_path, stubs, preset, said):
    for tool in TOOLS + ["cat"]:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    for name, text in ({"uname": "echo Linux"} | stubs).items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run([tmp_path / "bash", ROOT / "scripts/choose-preset"], env={"PATH": str(tmp_path)},
                          capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == preset + "\n"
    assert said in done.stderr and bool(said) == bool(done.stderr)
    assert f'"name": "{preset}"' in (ROOT / "CMakePresets.json").read_text()
