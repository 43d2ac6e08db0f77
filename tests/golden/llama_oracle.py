"""A llama in numpy, as transformers' modeling_llama computes it, on the dequantized weights of a GGUF
file: the oracle for the engine's numbers. Slow and plain: one sequence, no cache, float32 weights,
float64 where it is cheap.

usage: llama_oracle.py MODEL.gguf OUT.json   (writes greedy tokens and logits for fixed prompts)
"""

import json
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class Llama:
    def __init__(self, path):
        reader = GGUFReader(path)
        self.fields = reader.fields
        self.tensors = {}
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

    def forward(self, tokens):
        """Logits of every position, [tokens, vocabulary]."""
        n = len(tokens)
        x = self.tensors["token_embd.weight"][tokens].astype(np.float32)
        mask = np.triu(np.full((n, n), -np.inf), 1)
        positions = np.arange(n)
        for i in range(self.layers):
            at = lambda name: self.tensors[f"blk.{i}.{name}.weight"]
            h = self.norm(x, f"blk.{i}.attn_norm.weight")
            q = self.rotate((h @ at("attn_q").T).reshape(n, self.heads, self.head_dim), positions)
            k = self.rotate((h @ at("attn_k").T).reshape(n, self.kv_heads, self.head_dim), positions)
            v = (h @ at("attn_v").T).reshape(n, self.kv_heads, self.head_dim)
            group = self.heads // self.kv_heads
            k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
            scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(self.head_dim) + mask
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            attended = np.einsum("hqk,khd->qhd", weights, v).reshape(n, -1).astype(np.float32)
            x = x + attended @ at("attn_output").T
            h = self.norm(x, f"blk.{i}.ffn_norm.weight")
            gate, up = h @ at("ffn_gate").T, h @ at("ffn_up").T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ at("ffn_down").T
        head = self.tensors.get("output.weight", self.tensors["token_embd.weight"])
        return self.norm(x, "output_norm.weight") @ head.T

    def greedy(self, tokens, count):
        tokens = list(tokens)
        start = len(tokens)
        while len(tokens) < start + count:
            tokens.append(int(self.forward(tokens)[-1].argmax()))
        return tokens[start:]


if __name__ == "__main__":
    model = Llama(sys.argv[1])
    prompt = [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198]
    logits = model.forward(prompt)
    result = {
        "prompt": prompt,
        "greedy": model.greedy(prompt, 24),
        "top_last": [[int(i), float(logits[-1][i])] for i in np.argsort(-logits[-1])[:10]],
    }
    json.dump(result, open(sys.argv[2], "w"), indent=1)
