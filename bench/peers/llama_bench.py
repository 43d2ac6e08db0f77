"""llama.cpp's own programs: llama-bench for one stream, llama-batched-bench for several.

The source is the one that the Python package llama-cpp-python carries, for it holds these programs; they are compiled as
llama.cpp compiles them by default, with the system's compiler. Only what is named here is built.
"""

import json
import re
import shutil
import sys
import tarfile
import tempfile

from . import peer

PACKAGE, VERSION = "llama_cpp_python", "0.3.36"
FLASH = {"0": "flash attention off", "1": "flash attention on"}


def parse_bench(text, more=""):
    """The figures in what `llama-bench -o json` prints, and the build that it names; "" where it does not know."""
    # Some builds print lines of their own before the list.
    begin = re.search(r"^\[\s*$", text, re.M)
    try:
        rows = json.loads(text[begin.start():] if begin else text)
        figures = [peer.Figure("prefill" if row["n_gen"] == 0 else "decode", 1, float(row["avg_ts"]),
                               FLASH[str(int(row["flash_attn"]))] + more) for row in rows]
        commit = rows[0]["build_commit"]
        return figures, "" if commit == "unknown" else f"{commit} ({rows[0]['build_number']})"
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise peer.Unavailable(f"llama-bench printed something else than its JSON: {error!r}") from None


def parse_batched(text, setting):
    """The figures in the table that llama-batched-bench prints."""
    rows = re.findall(r"^\|\s*\d+ \|\s*\d+ \|\s*(\d+) \|" + r"\s*[\d.]+ \|" * 4 + r"\s*([\d.]+) \|", text, re.M)
    if not rows:
        raise peer.Unavailable(f"llama-batched-bench printed no figures: {peer.last_line(text)}")
    return [peer.Figure("decode", int(streams), float(rate), setting) for streams, rate in rows]


def measure(plan, bench, batched, model, bench_options, more=""):
    """Both programs with flash attention off and on; (figures, build)."""
    threads = plan.threads
    out, _ = peer.execute([bench, "-m", model, "-p", plan.prompt, "-n", plan.generate if 1 in plan.streams else 0,
                           "-t", threads, "-fa", "0,1", "-r", plan.repeat, "-o", "json", *bench_options], plan.limit_s)
    figures, build = parse_bench(out, more)
    for streams in plan.streams:
        if streams == 1 or batched is None:
            continue
        for flash, setting in FLASH.items():
            # Each stream has cells of its own, in multiples of 256.
            cells = -(-(plan.context + plan.generate) // 256) * 256 * streams
            # Older builds leave a log in the folder where they run.
            with tempfile.TemporaryDirectory() as folder:
                out, errors = peer.execute(
                    [batched, "-m", model, "-npp", plan.context, "-ntg", plan.generate, "-npl", streams, "-c", cells,
                     "-t", threads, "-tb", threads, "-fa", "on" if flash == "1" else "off",
                     *(option for option in bench_options if option == "-rtr")], plan.limit_s, folder=folder)
            figures += parse_batched(out + errors, setting + more)
    return figures, build


class LlamaBench(peer.Peer):
    name = "llama-bench"
    note = "llama.cpp's own programs: llama-bench, and llama-batched-bench where streams are several"

    def prepare(self):
        folder = peer.ROOT / "build/peers" / f"{PACKAGE}-{VERSION}"
        if not folder.exists():
            self.unpack(folder)
        build = peer.ROOT / ("build/peers/llama.cpp" + (f"-{self.plan.isa}" if self.plan.isa else ""))
        off = [f"-DLLAMA_BUILD_{part}=OFF" for part in ("TESTS", "EXAMPLES", "SERVER", "APP", "UI")]
        peer.install(["cmake", "-S", folder / "vendor/llama.cpp", "-B", build, "-G", "Ninja", "--log-level=WARNING",
                      "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", *off,
                      f"-DGGML_NATIVE={'OFF' if self.plan.isa else 'ON'}"])
        peer.install(["cmake", "--build", build, "-j2", "--target", "llama-bench", "llama-batched-bench", "--", "--quiet"])
        self.bench, self.batched = build / "bin/llama-bench", build / "bin/llama-batched-bench"
        self.version = f"of {PACKAGE} {VERSION}"

    @staticmethod
    def unpack(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder.parent).free < 1 << 30:
            raise peer.Unavailable("its source and build need 1 GiB of disk")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
            peer.install([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                          "--no-binary", PACKAGE, "--dest", scratch, f"{PACKAGE}=={VERSION}"])
            with tarfile.open(f"{scratch}/{PACKAGE}-{VERSION}.tar.gz") as archive:
                archive.extractall(scratch, filter="data")
            shutil.move(f"{scratch}/{PACKAGE}-{VERSION}", folder)

    def run(self, model):
        figures, _ = measure(self.plan, self.bench, self.batched, model, [])
        return figures
