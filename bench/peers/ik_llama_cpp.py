"""ik_llama.cpp, as its user built it: the path of its llama-bench is given, and llama-batched-bench lies beside it or not."""

from . import llama_bench, peer


class IkLlamaCpp(peer.Peer):
    name = "ik_llama.cpp"

    def __init__(self, plan, bench):
        super().__init__(plan)
        self.bench = bench.resolve()
        beside = self.bench.with_name("llama-batched-bench")
        self.batched = beside if beside.is_file() else None
        self.note = "as built by its user; flash attention and repacking on or off, whichever was fastest" + (
            "" if self.batched else "; one stream, for no llama-batched-bench lies beside its llama-bench")

    def prepare(self):
        if not self.bench.is_file():
            raise peer.Unavailable(f"{self.bench} is no file")

    def run(self, model):
        figures, self.version = llama_bench.measure(self.plan, self.bench, self.batched, model, [])
        # Where a format has no other layout it does nothing.
        repacked, _ = llama_bench.measure(self.plan, self.bench, self.batched, model, ["-rtr", "1"], ", repacked")
        return figures + repacked
