"""What scripts/build and scripts/setup install on machines that are not here: apt and dpkg are stubs."""

import http.server
import pathlib
import shutil
import subprocess
import threading

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


def asked_of(mirror, tree):
    """Runs scripts/fetch-vulkan-headers where apt is set up for that mirror; what it says."""
    shutil.copy(ROOT / "scripts/fetch-vulkan-headers", tree / "scripts")
    (tree / "bin/apt-get").write_text(f"#!/usr/bin/env bash\necho {mirror}\n")
    (tree / "apt.conf").write_text('Acquire::http::Proxy::127.0.0.1 "DIRECT"; Acquire::Retries "0";')
    done = subprocess.run([tree / "scripts/fetch-vulkan-headers"], capture_output=True, text=True, timeout=60,
                          env={"PATH": f"{tree}/bin:/usr/bin:/bin", "APT_CONFIG": str(tree / "apt.conf")})
    assert done.returncode == 1 and done.stdout == ""
    return done.stderr


class Mirror(http.server.BaseHTTPRequestHandler):
    """One that has dropped everything."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_):
        pass


def test_the_vulkan_headers_come_from_apts_mirror_or_not_at_all(tree):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as mirror:
        mirror.asked = []
        threading.Thread(target=mirror.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{mirror.server_port}/debian/"
        said = asked_of(f"{root} {root}", tree)
        mirror.shutdown()
    assert set(mirror.asked) == {"/debian/pool/main/v/vulkan-loader/libvulkan-dev_1.4.309.0-1_amd64.deb"}
    assert said.startswith(f"fetch-vulkan-headers: Failed to fetch {root}pool/main/v/") and said.count("\n") == 1
    assert "404" in said and "apt's proxy" in said
    said = asked_of("", tree)
    assert "no mirror of Debian" in said and said.count("\n") == 1
