#!/usr/bin/env python3
"""Writes NOTICE: what the program is linked with, what its page is made of and what it fetches, with licences.

usage: notice.py [--check]
--check fails when the committed NOTICE is not what would be written. The network is not used where cargo has fetched
the crates of text/Cargo.lock, as building does.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"

# What the system brings, by the name in find_package or pkg_check_modules: (what it is, licence), or nothing where it
# is not part of the program.
SYSTEM = {
    "Boost": ("Boost", "BSL-1.0"),
    "CLI11": ("CLI11", "BSD-3-Clause"),
    "tomlplusplus": ("toml++", "MIT"),
    "fmt": ("fmt", "MIT"),
    "spdlog": ("spdlog", "MIT"),
    "ZLIB": ("zlib", "Zlib"),
    "CURL": ("curl", "curl"),
    "OpenSSL": ("OpenSSL", "Apache-2.0"),
    "SQLite3": ("SQLite", "public domain"),
    "SPIRV": None,  # headers, and only in a build with GPU kernels
    "Vulkan": None,  # the system's loader, which such a build links
    "Threads": None,
    "GTest": None,
    "benchmark": None,
    "Python3": None,
}
ALWAYS = [
    ("GNU C library", "LGPL-2.1-or-later"),
    ("libstdc++ and libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("Rust standard library", "MIT OR Apache-2.0"),
    ("Oniguruma, in onig_sys", "BSD-2-Clause"),
]
MODEL_LICENCE = "Apache-2.0"


def system_libraries(root):
    """[(name, licence)] of what CMake looks for; ends the program at a name that SYSTEM does not know."""
    found = set()
    for path in [root / "CMakeLists.txt", *root.glob("cmake/*.cmake"), *root.glob("src/*/rung.cmake")]:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(?:find_package|pkg_check_modules)\((\w+)", text):
            if name not in SYSTEM:
                sys.exit(f"notice: {path.relative_to(root)} looks for {name}: add its licence to SYSTEM in tools/notice.py")
            found.add(SYSTEM[name])
    return sorted((found - {None}) | set(ALWAYS), key=lambda row: row[0].lower())


def cargo_metadata(root):
    cargo = (shutil.which("cargo") or shutil.which("cargo", path=os.path.expanduser("~/.cargo/bin")) or
             shutil.which("cargo-web"))
    if not cargo:
        sys.exit("notice: no cargo; run scripts/setup")
    command = [cargo, "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    for arguments in (["--offline"], []):  # the network only where crates are missing
        done = subprocess.run(command + arguments, cwd=root / "text", capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
    sys.exit(f"notice: cargo metadata: {done.stderr.strip()}")


def linked_crates(metadata):
    """[(name and version, licence)] of the crates whose code ends in the library: neither build scripts nor macros."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen, waiting = set(), [root]
    while waiting:
        package = waiting.pop()
        kinds = {kind for target in packages[package]["targets"] for kind in target["kind"]}
        if package in seen or "proc-macro" in kinds:
            continue
        seen.add(package)
        waiting += [dependency["pkg"] for dependency in nodes[package]["deps"]
                    if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
    crates = [packages[package] for package in seen - {root}]
    for crate in crates:
        if not crate["license"]:
            sys.exit(f"notice: the crate {crate['name']} states no licence")
    return sorted((f"{crate['name']} {crate['version']}", crate["license"].replace("/", " OR ")) for crate in crates)


# What these bring builds the page, and is no part of it.
PAGE_BUILDERS = {"vite", "@sveltejs/vite-plugin-svelte", "svelte"}


def page_packages(root):
    """[(name and version, licence)] of what web/package.json names, and of what parts of the page stand on in turn."""
    if not (root / "web/package.json").is_file():
        return []
    wanted = json.loads((root / "web/package.json").read_text(encoding="utf-8"))
    locked = json.loads((root / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    parts = wanted.get("dependencies", {}).keys() - PAGE_BUILDERS
    rows, seen = set(), set()
    waiting = [("", name) for name in {**wanted.get("dependencies", {}), **wanted.get("devDependencies", {})}]
    while waiting:
        above, name = waiting.pop()
        path = f"{above}node_modules/{name}" if f"{above}node_modules/{name}" in locked else f"node_modules/{name}"
        if path in seen:
            continue
        seen.add(path)
        package = locked[path]
        if "license" not in package:
            sys.exit(f"notice: the npm package {name} states no licence")
        rows.add((f"{name} {package['version']}", package["license"]))
        if above or name in parts:
            waiting += [(f"{path}/", dependency) for dependency in package.get("dependencies", {})]
    return sorted(rows)


def model(root):
    text = (root / "scripts/fetch-model").read_text(encoding="utf-8")
    package = re.search(r'^PACKAGE = "(.*)"', text, re.MULTILINE)[1]
    file_name = re.search(r'^FILE_NAME = "(.*)"', text, re.MULTILINE)[1]
    return [(f"{file_name}, out of {package}", MODEL_LICENCE)]


def second_engine(root):
    """llama.cpp, which a crate carries whole."""
    text = (root / "third_party/llamacpp/Cargo.toml").read_text(encoding="utf-8")
    crate, version = re.search(r'^(llama-cpp-sys-2) = \{ version = "=([\d.]+)"', text, re.MULTILINE).groups()
    return [(f"llama.cpp, out of {crate} {version}", "MIT")]


def notice(root):
    parts = ["Dunlin\nLicensed under the Apache License, Version 2.0; see LICENSE.\n\n"
             "Written by tools/notice.py; do not edit.\n"]
    sections = [
        ("The program is linked with these libraries of the system", system_libraries(root)),
        ("and with these Rust crates", linked_crates(cargo_metadata(root))),
        ("The web page is made of, or with, these npm packages", page_packages(root)),
        ("Built with DUNLIN_LLAMACPP it is linked with", second_engine(root)),
        ("The default model is fetched, not shipped", model(root)),
    ]
    for title, rows in sections:
        if rows:
            parts.append(f"{title}:\n" + "".join(f"  {name}: {licence}\n" for name, licence in rows))
    return "\n".join(parts)


def main():
    path = ROOT / "NOTICE"
    text = notice(ROOT)
    if "--check" not in sys.argv[1:]:
        path.write_text(text, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != text:
        sys.exit("notice: NOTICE is not what is linked and fetched now; run tools/notice.py and commit it")


if __name__ == "__main__":
    main()
