"""OpenVINO, as the Python package openvino-genai brings it; it reads GGUF files itself."""

import json

from . import peer

VERSION = "2026.4.1.0"


def parse(text):
    """The figures in what openvino_child.py prints as its last line."""
    try:
        found = json.loads(peer.last_line(text))
        return [peer.Figure(row["kind"], row["streams"], row["tokens"] / row["seconds"]) for row in found]
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise peer.Unavailable(f"its child printed something else than its figures: {error!r}") from None


class OpenVino(peer.Peer):
    name = "OpenVINO"
    note = "reads the GGUF file into formats of its own, with an 8-bit KV cache by default"
    version = VERSION

    def prepare(self):
        if self.plan.isa:
            raise peer.Unavailable(f"cannot be held to {self.plan.isa}")
        self.python = peer.python_with("openvino", f"openvino-genai=={VERSION}")

    def run(self, model):
        plan = self.plan
        out, _ = peer.execute([self.python, peer.ROOT / "bench/peers/inside/openvino_child.py", model, plan.prompt, plan.generate,
                               plan.context, ",".join(map(str, plan.streams)), plan.threads], plan.limit_s)
        return parse(out)
