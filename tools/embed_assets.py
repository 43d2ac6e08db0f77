#!/usr/bin/env python3
"""Writes the files of the built web page as C++: dunlin::web_assets() of src/app/web_assets.h.

usage: embed_assets.py OUT.cpp [FOLDER]
Without a folder there are no files. index.html is served as "/".
"""

import pathlib
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
COLUMNS = 32


def array(name, data):
    """The bytes as a C++ array; a string literal of this length is beyond the standard's limits."""
    values = [str(byte) for byte in data]
    lines = [",".join(values[i:i + COLUMNS]) for i in range(0, len(values), COLUMNS)]
    return f"constexpr unsigned char {name}[] = {{\n" + ",\n".join(lines) + "};\n"


def source(files):
    """files: pairs of the path in a URL and the bytes."""
    out = ['#include "app/web_assets.h"\n\nnamespace dunlin {\n']
    rows = []
    for i, (path, data) in enumerate(files):
        suffix = pathlib.PurePosixPath("index.html" if path == "/" else path).suffix
        if suffix not in TYPES:
            sys.exit(f"embed_assets: {path}: no content type for '{suffix}'; add it to TYPES")
        if not data:
            sys.exit(f"embed_assets: {path} is empty")
        out.append(f"namespace {{\n{array(f'kFile{i}', data)}}}\n")
        rows.append(f'    {{"{path}", "{TYPES[suffix]}", text(kFile{i})}},\n')
    if rows:
        out.append("namespace {\ntemplate <size_t kBytes>\n"
                   "std::string_view text(const unsigned char (&bytes)[kBytes]) {\n"
                   "return {reinterpret_cast<const char*>(bytes), kBytes};\n}\n}\n")
        out.append("std::span<const Asset> web_assets() {\nstatic const Asset kAssets[] = {\n"
                   + "".join(rows) + "};\nreturn kAssets;\n}\n")
    else:
        out.append("std::span<const Asset> web_assets() { return {}; }\n")
    out.append("}  // namespace dunlin\n")
    return "\n".join(out)


def read(folder):
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            path = "/" + file.relative_to(folder).as_posix()
            yield ("/" if path == "/index.html" else path), file.read_bytes()


def main():
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    pathlib.Path(sys.argv[1]).write_text(source(list(read(folder)) if folder else []), encoding="utf-8")


if __name__ == "__main__":
    main()
