"""Makes two small llamas with random weights, tests/data/tiny_plain.gguf (F32, F16, BF16) and
tests/data/tiny_quantized.gguf (every block format that we compute), and tests/golden/tiny_llama.json:
what transformers computes from them. A head of 24 elements, 3 KV heads, matrices whose rows are no
multiple of 16. The prompts are longer than two attention spans of 256.

usage: make_tiny_llama.py REPOSITORY   (needs what transformers_oracle.py needs)
"""

import json
import sys

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize
from transformers_oracle import greedy, load

VOCABULARY, HEAD, KV_HEADS, CONTEXT = 131, 24, 3, 1024
GREEDY_TOKENS = 64
LOGITS_AT_THE_END = 2


def k_quant(random: np.random.Generator, shape: tuple[int, int], kind: Type) -> np.ndarray:
    """Random codes and run scales, with a block scale that gives weights of about 0.1. `gguf` reads
    these formats but cannot write them."""
    rows, columns = shape
    data = random.integers(0, 256, (rows, columns // 256, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)

    def put(at: int, value: float) -> None:
        data[..., at:at + 2] = np.array([value], dtype="<f2").view(np.uint8)

    if kind == Type.Q6_K:
        put(208, 1e-4)
    else:
        top = 7.5 if kind == Type.Q4_K else 15.5
        put(0, 6e-3 / top / 2)
        put(2, 6e-3 / 2)
    return data.reshape(rows, -1)


def weights(random: np.random.Generator, shape: tuple[int, int], kind: Type) -> np.ndarray:
    if kind in (Type.Q4_K, Type.Q5_K, Type.Q6_K):
        return k_quant(random, shape, kind)
    return quantize(random.normal(0, 0.15, shape).astype(np.float32), kind)


def write(path: str, hidden: int, heads: int, inner: int, kinds: list[dict[str, Type]], tied: bool) -> None:
    random = np.random.default_rng(7)
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny")
    out.add_block_count(len(kinds))
    out.add_context_length(CONTEXT)
    out.add_embedding_length(hidden)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(KV_HEADS)
    out.add_key_length(HEAD)
    out.add_value_length(HEAD)
    out.add_rope_dimension_count(HEAD)
    out.add_rope_freq_base(10000.0)
    out.add_layer_norm_rms_eps(1e-5)

    def add(name: str, shape: tuple[int, int], kind: Type) -> None:
        out.add_tensor(name + ".weight", weights(random, shape, kind), raw_dtype=kind)

    def add_norm(name: str) -> None:
        out.add_tensor(name + ".weight", random.normal(1, 0.1, hidden).astype(np.float32))

    q, kv = heads * HEAD, KV_HEADS * HEAD
    add("token_embd", (VOCABULARY, hidden), kinds[0]["embd"])
    for layer, kind in enumerate(kinds):
        at = f"blk.{layer}."
        add_norm(at + "attn_norm")
        add(at + "attn_q", (q, hidden), kind["q"])
        add(at + "attn_k", (kv, hidden), kind["k"])
        add(at + "attn_v", (kv, hidden), kind["v"])
        add(at + "attn_output", (hidden, q), kind["o"])
        add_norm(at + "ffn_norm")
        add(at + "ffn_gate", (inner, hidden), kind["gate"])
        add(at + "ffn_up", (inner, hidden), kind["up"])
        add(at + "ffn_down", (hidden, inner), kind["down"])
    add_norm("output_norm")
    if not tied:
        add("output", (VOCABULARY, hidden), kinds[0]["embd"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def expect(path: str) -> dict:
    model, _ = load(path)
    random = np.random.default_rng(11)
    prompts = []
    for length in (1, 17, 600):
        tokens = random.integers(0, VOCABULARY, length).tolist()
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -LOGITS_AT_THE_END:].tolist()
        made, lead = greedy(model, tokens, GREEDY_TOKENS)
        prompts.append({"tokens": tokens, "greedy": made, "least_lead": round(lead, 5),
                        "last_logits": [[round(x, 6) for x in row] for row in logits]})
    return {"file": path.rsplit("/", 1)[-1], "prompts": prompts}


def kinds(text: str) -> dict[str, Type]:
    return dict(zip(("embd", "q", "k", "v", "o", "gate", "up", "down"), (Type[t] for t in text.split())))


def main() -> None:
    root = sys.argv[1]
    plain, quantized = (f"{root}/tests/data/tiny_{name}.gguf" for name in ("plain", "quantized"))
    write(plain, hidden=40, heads=6, inner=72, tied=False,
          kinds=[kinds("F32 F32 F32 F16 BF16 F32 F16 BF16"), kinds("F32 BF16 F16 F32 F16 BF16 BF16 F32")])
    write(quantized, hidden=64, heads=12, inner=256, tied=True,
          kinds=[kinds("Q8_0 Q8_0 Q5_1 Q4_0 Q4_1 Q4_1 Q5_0 Q4_K"),
                 kinds("Q8_0 Q4_1 Q8_0 Q5_0 Q5_1 Q4_0 Q4_1 Q6_K"),
                 kinds("Q8_0 Q4_0 Q4_1 Q8_0 Q8_0 Q5_1 Q8_0 Q5_K")])
    with open(f"{root}/tests/golden/tiny_llama.json", "w", encoding="utf-8") as file:
        file.write(json.dumps([expect(plain), expect(quantized)]).replace('{"tokens"', '\n{"tokens"') + "\n")


main()
