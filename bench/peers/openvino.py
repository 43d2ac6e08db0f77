"""OpenVINO, as the Python package openvino-genai brings it; it reads GGUF files itself."""

from . import peer


def read(found):
    return [peer.Figure(row["kind"], row["streams"], row["tokens"] / row["seconds"]) for row in found]


def parse(text):
    """The figures in what openvino_child.py prints as its last line."""
    return peer.child_figures(text, read)


class OpenVino(peer.PackagePeer):
    name = "OpenVINO"
    note = "reads the GGUF file into formats of its own, with an 8-bit KV cache by default"
    package, version, folder = "openvino-genai", "2026.4.1.0", "openvino"

    def run(self, model):
        plan = self.plan
        return parse(self.child("openvino_child.py", model, plan.prompt, plan.generate, plan.context,
                                ",".join(map(str, plan.streams)), plan.threads))
