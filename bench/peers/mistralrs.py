"""mistral.rs, as the Python package mistralrs brings it."""

from . import peer


def read(found):
    if found["prompt_tokens"] != found["prompt_asked"] or found["generated"] < found["generate_asked"]:
        raise peer.Unavailable(f"computed {found['prompt_tokens']} tokens and made {found['generated']}, other than asked")
    return [peer.Figure("prefill", 1, found["prompt_tokens"] / found["prompt_s"]),
            peer.Figure("decode", 1, found["generate_asked"] / found["decode_s"])]


def parse(text):
    """The figures in what mistralrs_child.py prints as its last line."""
    return peer.child_figures(text, read)


class MistralRs(peer.PackagePeer):
    name = "mistral.rs"
    note = "its package's own build; one stream, and it decodes after a short prompt, for its prompts take half a minute"
    package, version, folder = "mistralrs", "0.9.5", "mistralrs"

    def run(self, model):
        plan = self.plan
        return parse(self.child("mistralrs_child.py", model, plan.prompt, plan.generate,
                                environment={"RAYON_NUM_THREADS": str(plan.threads), "HF_HUB_OFFLINE": "1"}))
