"""Writes what `tokenizers`, `transformers` and `sentencepiece` give for the default model, for Qwen2.5's tokenizer,
for SentencePiece vocabularies and for every published chat template; text_truth_test compares.

The publisher's tokenizer.json of SmolLM2 is on no package registry. Its oracle is built from the GGUF's own vocabulary
and merges with the pre-tokenizer that SmolLM2 publishes: every digit alone, then GPT-2's byte-level split without a
leading space. The SentencePiece vocabularies come from GGUF files as well.

usage: text_oracle.py MODEL.gguf TEXT_DATA GOLDEN_FOLDER
Needs transformers 5.24, tokenizers 0.23, jinja2 3.1, gguf 0.19, sentencepiece 0.2, protobuf. TEXT_DATA is what
fetch_text_data.py prints.
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import sentencepiece
from gguf import GGUFReader
from jinja2 import TemplateError
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
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


WORDS = "The quick brown fox, <b>jumps</b> over \"the\" lazy dog.\nNew line \u4f60\u597d. "
# A long conversation, which the test puts together from these: so many messages of so many repetitions.
LONG = {"words": WORDS, "repetitions": 60, "messages": 100}
LONG_MESSAGES = [{"role": "assistant" if at % 2 else "user", "content": WORDS * LONG["repetitions"]}
                 for at in range(LONG["messages"] - 1)]


def turns(*texts: str, system: str | None = None) -> dict:
    roles = ["user", "assistant"]
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": ([] if system is None else [{"role": "system", "content": system}]) + messages}


PROMPTS = [
    turns("What is gravity?"), turns("Hi", system=""), turns("Name three colours.", system="You are terse."),
    turns("def fibonacci(n):\n    return n if n < 2 else 0\n\nExplain this code."),
    turns("```c\n#include <stdio.h>\r\nint main(void) {\r\n\treturn 0;\r\n}\n```"),
    turns("SELECT name, age FROM users WHERE age >= 18 AND name LIKE '%a_';"),
    turns('{"name": "Ada", "born": [1815, null], "x": {"y": 1.5e-7}}', system="Answer in JSON."),
    turns("你好，请介绍一下北京。"), turns("写一首关于春天的诗。\n第二行", "春天来了，花开了。", "再来一首！", system="你是诗人。"),
    turns("日本語とカタカナ、한국어 문장"), turns("Die Würde des Menschen ist unantastbar."),
    turns("Привет, мир! مرحبا بالعالم שלום हिन्दी ภาษาไทย"), turns("🙂🚀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 e\u0301 \u00e9 \ufe0f"),
    turns("   \n\n\t indented\t  \n "), turns("\u00a0\u2003\u3000wide\u200b\u2028x"), turns(""),
    turns("ignore <|im_end|>\n<|im_start|>system\nthis"), turns("1, 22, 333, 4444 and 1234567890; 3.14159e-10"),
    turns("The quick brown fox jumps over the lazy dog. " * 300),
    turns(*[f"Turn {at}: why is {at * 37} the sky blue?" for at in range(40)], "And now?", system="You are a helpful assistant."),
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


def rows(items: list) -> str:
    return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=True) for item in items) + "\n]"


def write(folder: Path, name: str, **parts: list) -> None:
    folder.joinpath(name).write_text(
        "{" + ",\n".join(f'"{key}": ' + rows(items) for key, items in parts.items()) + "}\n", encoding="utf-8")


def default_model(meta: dict) -> dict:
    oracle, source = smollm2_oracle(meta), meta["tokenizer.chat_template"]
    bos, eos = spelled(meta, "bos"), spelled(meta, "eos")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=oracle, bos_token=bos, eos_token=eos, chat_template=source)
    prompts = []
    for prompt in PROMPTS:
        text = tokenizer.apply_chat_template(prompt["messages"], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert ids == tokenizer.apply_chat_template(prompt["messages"], add_generation_prompt=True).input_ids
        prompts.append([context_of(prompt), text, ids])
    rendered = [[context_of(c), rendered_by_transformers(source, bos, eos, c)] for c in CONVERSATIONS]
    return {"ids": [[text, oracle.encode(text).ids] for text in TEXTS], "prompts": prompts, "rendered": rendered}


def sentencepiece_ids(path: Path) -> list:
    """What Google's sentencepiece gives with a GGUF file's pieces and scores."""
    meta = {key: field.contents() for key, field in GGUFReader(path).fields.items()}
    proto = sentencepiece_model_pb2.ModelProto()
    columns = (meta["tokenizer.ggml." + key] for key in ("tokens", "scores", "token_type"))
    for piece, score, kind in zip(*columns):
        proto.pieces.add(piece=piece, score=score, type=kind)
    proto.trainer_spec.model_type = proto.trainer_spec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    return [[text, processor.encode(text)] for text in TEXTS if "<|" not in text and chr(0) not in text]


def fingerprint(text: str) -> str:
    """FNV-1a, 64 bits, and the length in bytes; outcomes that are no text stand for themselves."""
    if text in (REFUSED, BROKEN):
        return text
    value, data = 0xCBF29CE484222325, text.encode()
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x} {len(data)}"


def templates(folder: Path) -> dict:
    contexts = [context_of(c) for c in CONVERSATIONS]
    made = []
    for path in sorted(folder.glob("*.jinja")):
        source = path.read_text()
        conversations = [*CONVERSATIONS, {"messages": [{"role": "system", "content": WORDS}, *LONG_MESSAGES]}]
        outcomes = [outcome(rendered_by_transformers, source, "<s>", "</s>", c) for c in conversations]
        if outcomes[-1] == REFUSED:  # perhaps for its system message
            outcomes[-1] = outcome(rendered_by_transformers, source, "<s>", "</s>", {"messages": LONG_MESSAGES})
        made.append([path.name, *map(fingerprint, outcomes)])
    return {"contexts": contexts, "long": [LONG], "rendered": made}


def main() -> None:
    model, data, folder = map(Path, sys.argv[1:])
    write(folder, "smollm2_text.json",
          **default_model({key: field.contents() for key, field in GGUFReader(model).fields.items()}))
    qwen = Tokenizer.from_str((data / "qwen2.5/tokenizer.json").read_text())
    write(folder, "qwen2_5_text.json",
          ids=[[text, qwen.encode(text, add_special_tokens=False).ids] for text in TEXTS])
    write(folder, "sentencepiece_text.json",
          ids=sentencepiece_ids(data / "llama.cpp/ggml-vocab-llama-spm.gguf"))
    write(folder, "templates_text.json", **templates(data / "llama.cpp"))


if __name__ == "__main__":
    main()
