"""A llama in numpy, as transformers' modeling_llama computes it, on the dequantized weights of a GGUF
file: the oracle for the engine's numbers. Slow and plain: one sequence, no cache, float32 weights,
float64 where it is cheap.

usage: llama_oracle.py MODEL.gguf OUT.json   (writes greedy tokens and logits for fixed prompts)
       llama_oracle.py --rounded REPOSITORY

The second writes tests/golden/tiny_rounded.json: what tiny_plain.gguf answers to the prompts in tiny_llama.json where
all that meets a matrix of BF16 is rounded to BF16 first, and keys and values are kept as halves. Without the rounding
it must give transformers' tokens.
"""

import json
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize


def to_bfloat(x):
    """The nearest BF16, ties to even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)


class Llama:
    def __init__(self, path, rounded=False):
        self.rounded = rounded
        reader = GGUFReader(path)
        self.fields = reader.fields
        self.tensors = {}
        self.bfloats = {tensor.name for tensor in reader.tensors if tensor.tensor_type == GGMLQuantizationType.BF16}
        for tensor in reader.tensors:
            shape = [int(n) for n in reversed(tensor.shape)]
            self.tensors[tensor.name] = dequantize(tensor.data, tensor.tensor_type).reshape(shape)
        self.layers = self.number("llama.block_count")
        self.heads = self.number("llama.attention.head_count")
        self.kv_heads = self.number("llama.attention.head_count_kv")
        hidden = self.number("llama.embedding_length")
        self.head_dim = self.number("llama.attention.key_length", hidden // self.heads)
        self.theta = self.number("llama.rope.freq_base", 10000.0)
        self.eps = self.number("llama.attention.layer_norm_rms_epsilon")

    def number(self, key, otherwise=None):
        field = self.fields.get(key)
        return otherwise if field is None else field.parts[-1][0].item()

    def norm(self, x, name):
        scale = 1.0 / np.sqrt(np.mean(x.astype(np.float64) ** 2, axis=-1, keepdims=True) + self.eps)
        return (x * scale * self.tensors[name]).astype(np.float32)

    def rotate(self, x, positions):
        """x: [tokens, heads, head_dim]; GGUF pairs elements 2i and 2i + 1."""
        rotary = self.number("llama.rope.dimension_count", self.head_dim)
        frequency = self.theta ** (-np.arange(0, rotary, 2) / rotary)
        angle = positions[:, None, None] * frequency
        cos, sin = np.cos(angle), np.sin(angle)
        out = x.astype(np.float64).copy()
        a, b = out[..., 0:rotary:2].copy(), out[..., 1:rotary:2].copy()
        out[..., 0:rotary:2] = a * cos - b * sin
        out[..., 1:rotary:2] = a * sin + b * cos
        return out

    def product(self, x, name):
        """x times a matrix."""
        return (to_bfloat(x) if self.rounded and name in self.bfloats else x) @ self.tensors[name].T

    def forward(self, tokens):
        """Logits of every position, [tokens, vocabulary]."""
        n = len(tokens)
        x = self.tensors["token_embd.weight"][tokens].astype(np.float32)
        mask = np.triu(np.full((n, n), -np.inf), 1)
        positions = np.arange(n)
        for i in range(self.layers):
            times = lambda x, name: self.product(x, f"blk.{i}.{name}.weight")
            h = self.norm(x, f"blk.{i}.attn_norm.weight")
            q = self.rotate(times(h, "attn_q").reshape(n, self.heads, self.head_dim), positions)
            k = self.rotate(times(h, "attn_k").reshape(n, self.kv_heads, self.head_dim), positions)
            v = times(h, "attn_v").reshape(n, self.kv_heads, self.head_dim)
            if self.rounded:
                k, v = k.astype(np.float16).astype(np.float32), v.astype(np.float16).astype(np.float32)
            group = self.heads // self.kv_heads
            k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
            scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(self.head_dim) + mask
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            attended = np.einsum("hqk,khd->qhd", weights, v).reshape(n, -1).astype(np.float32)
            x = x + times(attended, "attn_output")
            h = self.norm(x, f"blk.{i}.ffn_norm.weight")
            gate, up = times(h, "ffn_gate"), times(h, "ffn_up")
            x = x + times(gate / (1 + np.exp(-gate)) * up, "ffn_down")
        head = "output.weight" if "output.weight" in self.tensors else "token_embd.weight"
        return self.product(self.norm(x, "output_norm.weight"), head)

    def greedy(self, tokens, count):
        tokens = list(tokens)
        start = len(tokens)
        while len(tokens) < start + count:
            tokens.append(int(self.forward(tokens)[-1].argmax()))
        return tokens[start:]


def write_prompts(path, out):
    model = Llama(path)
    prompt = [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198]
    logits = model.forward(prompt)
    result = {
        "prompt": prompt,
        "greedy": model.greedy(prompt, 24),
        "top_last": [[int(i), float(logits[-1][i])] for i in np.argsort(-logits[-1])[:10]],
    }
    json.dump(result, open(out, "w"), indent=1)


def write_rounded(root):
    path = f"{root}/tests/data/tiny_plain.gguf"
    plain, rounded = Llama(path), Llama(path, rounded=True)
    models = json.load(open(f"{root}/tests/golden/tiny_llama.json", encoding="utf-8"))
    prompts = []
    for prompt in next(model for model in models if path.endswith(model["file"]))["prompts"]:
        tokens, count = prompt["tokens"], len(prompt["greedy"])
        if plain.greedy(tokens, count) != prompt["greedy"]:
            sys.exit(f"without rounding other tokens than transformers' after {tokens}")
        prompts.append({"tokens": tokens, "greedy": rounded.greedy(tokens, count),
                        "last_logits": [round(float(x), 6) for x in rounded.forward(tokens)[-1]]})
    with open(f"{root}/tests/golden/tiny_rounded.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(prompts).replace('{"tokens"', '\n{"tokens"') + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--rounded":
        write_rounded(sys.argv[2])
    else:
        write_prompts(*sys.argv[1:])
