"""Writes small GGUF files of random weights: models of architectures that only llama.cpp computes, and files that no
engine can use. The same arguments give the same bytes."""

import random
import struct

VOCABULARY = 300  # 256 bytes, merges of letters, and the tokens in CONTROL
CONTROL = ["<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = ("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")
HIDDEN, HEADS, LAYERS, INNER, CONTEXT = 64, 4, 2, 96, 256
HEAD = HIDDEN // HEADS

U32, F32, BOOL, TEXT, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(given):
    if isinstance(given, bool):
        return BOOL, struct.pack("<?", given)
    if isinstance(given, int):
        return U32, struct.pack("<I", given)
    if isinstance(given, float):
        return F32, struct.pack("<f", given)
    if isinstance(given, str):
        return TEXT, text(given)
    kind = {int: I32, float: F32, str: TEXT}[type(given[0])]
    parts = {I32: lambda x: struct.pack("<i", x), F32: lambda x: struct.pack("<f", x), TEXT: text}[kind]
    return ARRAY, struct.pack("<IQ", kind, len(given)) + b"".join(map(parts, given))


def letters():
    """The 256 characters that stand for bytes in byte-level vocabularies (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def tokenizer():
    merges = [("t", "h"), ("th", "e"), ("i", "n"), ("e", "r"), ("a", "n"), ("o", "n"), ("r", "e"), ("a", "t")]
    tokens = letters() + ["".join(pair) for pair in merges]
    tokens += [f"<unused{i}>" for i in range(VOCABULARY - len(CONTROL) - len(tokens))] + CONTROL
    kinds = [1] * 264 + [5] * (VOCABULARY - len(CONTROL) - 264) + [3] * len(CONTROL)
    ends = {"eos_token_id": tokens.index("<|end|>"), "bos_token_id": tokens.index("<|end|>")}
    return {f"tokenizer.ggml.{key}": one for key, one in {
        "model": "gpt2", "pre": "gpt-2", "tokens": tokens, "token_type": kinds,
        "merges": [" ".join(pair) for pair in merges], **ends}.items()} | {"tokenizer.chat_template": TEMPLATE}


def write(path, architecture, settings, tensors, words=None):
    """`settings`: keys without the architecture; `tensors`: {name: shape as numpy writes it}, or a function of the size
    that gives the values. A name that ends in _norm.weight gets values around 1."""
    draw = random.Random(architecture)
    keys = {"general.architecture": architecture, "general.name": "tiny",
            **{f"{architecture}.{key}": one for key, one in settings.items()}, **(tokenizer() if words is None else words)}
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(keys))
    for key, one in keys.items():
        kind, data = value(one)
        head += text(key) + struct.pack("<I", kind) + data
    data = b""
    for name, shape in tensors.items():
        count = 1
        for size in shape:
            count *= size
        middle, spread = (1, 0.1) if "norm" in name and name.endswith("weight") else (0, 0.15)
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), 0, len(data))
        data += struct.pack(f"<{count}f", *(draw.gauss(middle, spread) for _ in range(count)))
        data += bytes(-len(data) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def norms(*names, bias=True):
    made = {f"{name}.weight": [HIDDEN] for name in names}
    return {**made, **({f"{name}.bias": [HIDDEN] for name in names} if bias else {})}


def linear(name, rows, columns, bias=True):
    return {f"{name}.weight": [rows, columns], **({f"{name}.bias": [rows]} if bias else {})}


SIZES = {"block_count": LAYERS, "context_length": CONTEXT, "embedding_length": HIDDEN, "feed_forward_length": INNER,
         "attention.head_count": HEADS}
EPS, RMS_EPS = {"attention.layer_norm_epsilon": 1e-5}, {"attention.layer_norm_rms_epsilon": 1e-5}
EMBEDDING = {"token_embd.weight": [VOCABULARY, HIDDEN]}


def attention(at, bias):
    made = {}
    for name in ("attn_q", "attn_k", "attn_v"):
        made |= linear(f"{at}.{name}", HIDDEN, HIDDEN, bias)
    return made


def gated(at):
    return {**linear(f"{at}.ffn_gate", INNER, HIDDEN, False), **linear(f"{at}.ffn_up", INNER, HIDDEN, False),
            **linear(f"{at}.ffn_down", HIDDEN, INNER, False)}


def gpt2(path):
    """Learned positions, LayerNorm, one matrix for queries, keys and values, biases everywhere."""
    tensors = {**EMBEDDING, "position_embd.weight": [CONTEXT, HIDDEN], **norms("output_norm")}
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        tensors |= {**norms(f"{at}.attn_norm", f"{at}.ffn_norm"), **linear(f"{at}.attn_qkv", 3 * HIDDEN, HIDDEN),
                    **linear(f"{at}.attn_output", HIDDEN, HIDDEN), **linear(f"{at}.ffn_up", INNER, HIDDEN),
                    **linear(f"{at}.ffn_down", HIDDEN, INNER)}
    return write(path, "gpt2", {**SIZES, **EPS}, tensors)


def phi2(path):
    """Attention and feed-forward beside each other, a part of each head is rotated, the head has a bias."""
    tensors = {**EMBEDDING, **norms("output_norm"), **linear("output", VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        tensors |= {**norms(f"{at}.attn_norm"), **attention(at, True), **linear(f"{at}.attn_output", HIDDEN, HIDDEN),
                    **linear(f"{at}.ffn_up", INNER, HIDDEN), **linear(f"{at}.ffn_down", HIDDEN, INNER)}
    return write(path, "phi2", {**SIZES, **EPS, "rope.dimension_count": HEAD // 2}, tensors)


def like_llama(path, architecture, bias):
    tensors = {**EMBEDDING, **norms("output_norm", bias=False)}
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        tensors |= {**norms(f"{at}.attn_norm", f"{at}.ffn_norm", bias=False), **attention(at, bias),
                    **linear(f"{at}.attn_output", HIDDEN, HIDDEN, False), **gated(at)}
    return write(path, architecture, {**SIZES, **RMS_EPS}, tensors)


def qwen2(path):
    """Like Llama, with biases on queries, keys and values."""
    return like_llama(path, "qwen2", True)


def gemma(path):
    """Like Llama, with a scaled embedding that is the head too."""
    return like_llama(path, "gemma", False)


def mamba(path):
    """A state in place of keys and values."""
    inner, kernel, state, rank = 2 * HIDDEN, 4, 16, 4
    tensors = {**EMBEDDING, **norms("output_norm", bias=False)}
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        tensors |= {**norms(f"{at}.attn_norm", bias=False), f"{at}.ssm_in.weight": [2 * inner, HIDDEN],
                    f"{at}.ssm_conv1d.weight": [inner, kernel], f"{at}.ssm_conv1d.bias": [inner],
                    f"{at}.ssm_x.weight": [rank + 2 * state, inner], f"{at}.ssm_dt.weight": [inner, rank],
                    f"{at}.ssm_dt.bias": [inner], f"{at}.ssm_a": [inner, state], f"{at}.ssm_d": [inner],
                    f"{at}.ssm_out.weight": [HIDDEN, inner]}
    return write(path, "mamba", {**SIZES, **RMS_EPS, "feed_forward_length": 0, "attention.head_count": 0,
                                 "ssm.conv_kernel": kernel, "ssm.inner_size": inner, "ssm.state_size": state,
                                 "ssm.time_step_rank": rank}, tensors)


def bert(path):
    """An encoder, which embeds and does not write."""
    tensors = {**EMBEDDING, "position_embd.weight": [CONTEXT, HIDDEN], "token_types.weight": [2, HIDDEN],
               **norms("token_embd_norm")}
    for layer in range(LAYERS):
        at = f"blk.{layer}"
        tensors |= {**norms(f"{at}.attn_output_norm", f"{at}.layer_output_norm"), **attention(at, True),
                    **linear(f"{at}.attn_output", HIDDEN, HIDDEN), **linear(f"{at}.ffn_up", INNER, HIDDEN),
                    **linear(f"{at}.ffn_down", HIDDEN, INNER)}
    return write(path, "bert", {**SIZES, **EPS, "attention.causal": False, "pooling_type": 1}, tensors,
                 {**tokenizer(), "tokenizer.ggml.token_type_count": 2})


def dream(path):
    """Like Llama in its tensors; writes by diffusion."""
    return like_llama(path, "dream", True)


def unknown(path):
    return like_llama(path, "abacus", False)
