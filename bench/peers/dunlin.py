"""`dunlin bench` on both engines that it holds: its own, and llama.cpp as a library (CMake preset rival)."""

import json
import re

from . import peer


def parse(text, engine):
    """The figures of one engine in what `dunlin bench --json` prints, and what it says of the machine."""
    try:
        found = json.loads(text)
        figures = [peer.Figure(row["kind"], row["streams"], row["tokens_per_s"], row.get("setting", ""), row["peak_percent"])
                   for row in found["results"] if row["engine"] == engine]
        return figures, found["machine"]
    except (ValueError, KeyError, TypeError) as error:
        raise peer.Unavailable(f"dunlin bench printed something else than its JSON: {error!r}") from None


class Dunlin(peer.Peer):
    engine = ""

    def __init__(self, plan):
        super().__init__(plan)
        self.machines = []
        self.binary = peer.ROOT / ("build/rival" + (f"-{plan.isa}" if plan.isa else "")) / "dunlin"

    def prepare(self):
        options = ["-DDUNLIN_LLAMACPP_NATIVE=OFF"] if self.plan.isa else []
        peer.install(["cmake", "--preset", "rival", "-B", self.binary.parent, "--log-level=WARNING", *options])
        peer.install(["cmake", "--build", self.binary.parent, "-j2", "--target", "dunlin", "--", "--quiet"])

    def run(self, model):
        plan = self.plan
        figures = self.bench(model, plan.prompt, [1])
        several = [streams for streams in plan.streams if streams > 1]
        if several:
            # Several streams decode after a prompt of their own, so this is another run; its prefill does not count.
            figures += [figure for figure in self.bench(model, plan.context, several) if figure.kind == "decode"]
        return [figure for figure in figures if figure.kind == "prefill" or figure.streams in plan.streams]

    def bench(self, model, prompt, streams):
        plan = self.plan
        out, _ = peer.execute(
            [self.binary, "bench", "--engine", self.engine, "--json", "--model", model, "--prompt", prompt,
             "--generate", plan.generate, "--streams", ",".join(map(str, streams)), "--threads", plan.threads,
             "--repeat", plan.repeat], plan.limit_s, {"DUNLIN_ISA": plan.isa} if plan.isa else {})
        figures, machine = parse(out, self.engine)
        self.machines.append(machine)
        return figures


class Native(Dunlin):
    name = engine = "native"

    def prepare(self):
        super().prepare()
        out, _ = peer.execute(["git", "describe", "--always", "--dirty"], 60)
        self.version = out.strip()


class LlamaCpp(Dunlin):
    name = engine = "llama.cpp"
    note = "in `dunlin bench`; flash attention on or off, whichever was faster"

    def prepare(self):
        super().prepare()
        lock = (peer.ROOT / "third_party/llamacpp/Cargo.lock").read_text()
        self.version = "llama-cpp-sys-2 " + re.search(r'name = "llama-cpp-sys-2"\nversion = "([^"]+)"', lock)[1]
