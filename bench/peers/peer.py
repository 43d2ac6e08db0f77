"""What every engine that bench/compare measures has in common."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Unavailable(Exception):
    """An engine cannot be had here, or cannot run a model; says why in one line."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured, the same for every engine."""
    prompt: int = 512
    generate: int = 32
    context: int = 128  # tokens that each of several streams holds before it decodes; one stream begins with none
    streams: tuple = (1, 8, 32)
    threads: int = 1
    repeat: int = 1
    isa: str = ""  # "avx2", or "" for all that the machine has
    limit_s: int = 900  # for one program that measures


@dataclasses.dataclass(frozen=True)
class Figure:
    """One test of one run: tokens a second of all streams together."""
    kind: str  # "prefill" or "decode"
    streams: int
    tokens_per_s: float
    setting: str = ""
    peak_percent: float | None = None


class Peer:
    """An engine. `prepare` installs or builds it and sets `version`; `run` measures a model file once, in every setting."""
    name = ""
    note = ""  # what a reader must know of how it was measured
    version = ""

    def __init__(self, plan):
        self.plan = plan

    def prepare(self):
        raise NotImplementedError

    def run(self, model):
        raise NotImplementedError


class PackagePeer(Peer):
    """An engine that is a Python package, measured by a child that prints JSON as its last line."""
    package = ""
    folder = ""  # of its virtual environment

    def prepare(self):
        if self.plan.isa:
            raise Unavailable(f"cannot be held to {self.plan.isa}")
        self.python = python_with(self.folder, f"{self.package}=={self.version}")

    def child(self, program, *arguments, environment=None):
        """What the child printed, given these."""
        out, _ = execute([self.python, ROOT / "bench/peers/inside" / program, *arguments], self.plan.limit_s, environment)
        return out


def child_figures(text, read):
    """What `read` makes of the JSON in the last line of a child's output."""
    try:
        return read(json.loads(text.strip().rpartition("\n")[2]))
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise Unavailable(f"its child printed something else than its figures: {error!r}") from None


def best(figures):
    """The setting that was best in each test; of no figures nothing is the best."""
    if not figures:
        raise Unavailable("gave no figures")
    found = {}
    for figure in figures:
        test = figure.kind, figure.streams
        if test not in found or figure.tokens_per_s > found[test].tokens_per_s:
            found[test] = figure
    return list(found.values())


def last_line(text):
    """The last line that says something, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


def execute(command, limit_s, environment=None, folder=ROOT):
    """What the command prints, (stdout, stderr). It runs in a process group of its own, which ends with it."""
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(words, cwd=folder, text=True, start_new_session=True, stdin=subprocess.DEVNULL,
                                   errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, **(environment or {})})
    except OSError as error:
        raise Unavailable(f"{words[0]}: {error.strerror}") from None
    try:
        out, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"took longer than {limit_s} s") from None
    finally:
        # Also where this script itself is interrupted.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise Unavailable(f"{pathlib.Path(words[0]).name} ended with {process.returncode}: {last_line(errors or out)}")
    return out, errors


def install(command):
    """Runs a command that builds or installs; what it prints goes to stderr."""
    words = [str(word) for word in command]
    print("$ " + " ".join(words), file=sys.stderr, flush=True)
    try:
        subprocess.run(words, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"could not be installed: {error}") from None


def python_with(name, *wanted):
    """The Python of the virtual environment build/venv/NAME, which holds what is wanted and nothing else."""
    folder = ROOT / "build/venv" / name
    python, installed = folder / "bin/python", folder / "installed.txt"
    if not installed.exists() or installed.read_text() != "\n".join(wanted):
        venv.create(folder, with_pip=True, clear=True)
        install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
        installed.write_text("\n".join(wanted))
    return python
