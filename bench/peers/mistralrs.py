"""mistral.rs, as the Python package mistralrs brings it."""

import json

from . import peer

VERSION = "0.9.5"


def parse(text):
    """The figures in what mistralrs_child.py prints as its last line."""
    try:
        found = json.loads(peer.last_line(text))
        if found["prompt_tokens"] != found["prompt_asked"] or found["generated"] < found["generate_asked"]:
            raise peer.Unavailable(f"computed {found['prompt_tokens']} tokens and made {found['generated']}, other than asked")
        return [peer.Figure("prefill", 1, found["prompt_tokens"] / found["prompt_s"]),
                peer.Figure("decode", 1, found["generate_asked"] / found["decode_s"])]
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise peer.Unavailable(f"its child printed something else than its figures: {error!r}") from None


class MistralRs(peer.Peer):
    name = "mistral.rs"
    note = "its package's own build; one stream, and it decodes after a short prompt, for its prompts take half a minute"
    version = VERSION

    def prepare(self):
        if self.plan.isa:
            raise peer.Unavailable(f"cannot be held to {self.plan.isa}")
        self.python = peer.python_with("mistralrs", f"mistralrs=={VERSION}")

    def run(self, model):
        threads = str(self.plan.threads)
        out, _ = peer.execute([self.python, peer.ROOT / "bench/peers/inside/mistralrs_child.py", model, self.plan.prompt,
                               self.plan.generate], self.plan.limit_s,
                              {"RAYON_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"})
        return parse(out)
