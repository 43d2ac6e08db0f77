#!/usr/bin/env python3
"""Makes model files to measure with, of the llama architecture.

usage: bench/make_model.py --from MODEL.gguf --weights Q4_0 OUT.gguf
       bench/make_model.py --from MODEL.gguf --weights Q4_K_M --shape 4b OUT.gguf

The first writes the model's matrices in another format: the same model, so its answers are worth comparing. The second
fills a shape with random codes, so nothing it says means anything, but it takes as long as a real one; MODEL gives the
vocabulary. Mixes (Q4_K_M, Q5_K_M) give each matrix the format that llama.cpp's quantization gives it; rows that are no
multiple of 256 fall back to the formats that it falls back to. Needs what bench/requirements.txt lists.
"""

import argparse
import dataclasses

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize


@dataclasses.dataclass
class Shape:
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    inner: int


SHAPES = {
    "0.5b": Shape(layers=24, hidden=896, heads=14, kv_heads=2, head=64, inner=4864),
    "4b": Shape(layers=32, hidden=3072, heads=24, kv_heads=8, head=128, inner=8192),
}
# For a mix: most matrices, the more important ones, the output.
MIXES = {"Q4_K_M": (Type.Q4_K, Type.Q6_K, Type.Q6_K), "Q5_K_M": (Type.Q5_K, Type.Q6_K, Type.Q6_K)}
FALLBACKS = {Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}
# Where a block's scale and its min stand, and codes' spread, roughly, in units of the scale.
BLOCKS = {Type.Q4_0: (0, None, 4.6), Type.Q4_1: (0, 2, 4.6), Type.Q5_0: (0, None, 9.2), Type.Q5_1: (0, 2, 9.2),
          Type.Q8_0: (0, None, 74), Type.Q4_K: (0, 2, 170), Type.Q5_K: (0, 2, 340), Type.Q6_K: (208, None, 1370)}
# The least code is so many spreads below the middle.
MIDDLE = 1.65


def random_matrix(random, rows, columns, kind):
    """Random codes whose scales give weights of about 1 / sqrt(columns)."""
    size = columns ** -0.5
    if kind not in BLOCKS:
        return quantize(random.standard_normal((rows, columns), dtype=np.float32) * size, kind)
    elements, bytes_each = gguf.GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (rows, columns // elements, bytes_each), dtype=np.uint8)
    scale_at, min_at, spread = BLOCKS[kind]
    k_quant = elements == 256

    def put(at, value):
        data[..., at:at + 2] = np.array([value], dtype="<f2").view(np.uint8)
    put(scale_at, size / spread)
    if min_at is not None:
        # Of k-quants the mins are taken off, and have codes of 6 bits of their own.
        put(min_at, MIDDLE * size / 31 if k_quant else -MIDDLE * size)
    return data.reshape(rows, -1)


def kind_for(weights, name, layer, layers, columns):
    """The format of a matrix, as llama.cpp chooses it."""
    if weights in MIXES:
        usual, better, output = MIXES[weights]
        first, last = layers // 8, 7 * layers // 8
        important = name in ("attn_v", "ffn_down") and (layer < first or layer >= last or (layer - first) % 3 == 2)
        kind = output if name == "output" else better if important else usual
        return FALLBACKS[kind] if columns % 256 else kind
    kind = Type[weights]
    # An output that is also the embedding keeps eight bits.
    return Type.Q8_0 if name in ("token_embd", "output") and kind in (Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1) else kind


def copy_fields(source, out, skipped):
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or name in skipped:
            continue
        kinds = field.types
        out.add_key_value(name, field.contents(), kinds[0], kinds[-1] if len(kinds) > 1 else None)


def convert(source, weights, out):
    copy_fields(source, out, {"general.file_type"})
    layers = int(source.fields["llama.block_count"].contents())
    for tensor in source.tensors:
        parts = tensor.name.split(".")
        values = dequantize(tensor.data, tensor.tensor_type)
        if len(tensor.shape) < 2:
            out.add_tensor(tensor.name, values.astype(np.float32))
            continue
        layer = int(parts[1]) if parts[0] == "blk" else 0
        kind = kind_for(weights, parts[-2], layer, layers, values.shape[-1])
        if kind in (Type.Q4_K, Type.Q5_K, Type.Q6_K):
            raise SystemExit("gguf cannot write k-quants of given numbers; use --shape")
        out.add_tensor(tensor.name, quantize(values, kind), raw_dtype=kind)


def fill(source, weights, shape, out):
    copy_fields(source, out, {name for name in source.fields if name.startswith("llama.")} | {"general.file_type"})
    random = np.random.default_rng(7)
    vocabulary = len(source.fields["tokenizer.ggml.tokens"].data)
    out.add_block_count(shape.layers)
    out.add_context_length(8192)
    out.add_embedding_length(shape.hidden)
    out.add_feed_forward_length(shape.inner)
    out.add_head_count(shape.heads)
    out.add_head_count_kv(shape.kv_heads)
    out.add_key_length(shape.head)
    out.add_value_length(shape.head)
    out.add_rope_dimension_count(shape.head)
    out.add_rope_freq_base(100000.0)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(vocabulary)

    def matrix(name, rows, columns, layer=0):
        kind = kind_for(weights, name.split(".")[-1], layer, shape.layers, columns)
        out.add_tensor(name + ".weight", random_matrix(random, rows, columns, kind), raw_dtype=kind)

    def norm(name):
        out.add_tensor(name + ".weight", np.ones(shape.hidden, dtype=np.float32))

    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    matrix("token_embd", vocabulary, shape.hidden)
    for layer in range(shape.layers):
        at = f"blk.{layer}."
        norm(at + "attn_norm")
        matrix(at + "attn_q", q, shape.hidden, layer)
        matrix(at + "attn_k", kv, shape.hidden, layer)
        matrix(at + "attn_v", kv, shape.hidden, layer)
        matrix(at + "attn_output", shape.hidden, q, layer)
        norm(at + "ffn_norm")
        matrix(at + "ffn_gate", shape.inner, shape.hidden, layer)
        matrix(at + "ffn_up", shape.inner, shape.hidden, layer)
        matrix(at + "ffn_down", shape.hidden, shape.inner, layer)
    norm("output_norm")
    matrix("output", vocabulary, shape.hidden)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", required=True, help="a GGUF file of the llama architecture")
    known = sorted(MIXES) + sorted(kind.name for kind in BLOCKS) + ["BF16", "F16", "F32"]
    parser.add_argument("--weights", required=True, choices=known)
    parser.add_argument("--shape", choices=sorted(SHAPES), help="random weights in this shape")
    parser.add_argument("out")
    asked = parser.parse_args()
    source = gguf.GGUFReader(asked.source)
    out = gguf.GGUFWriter(asked.out, "llama", use_temp_file=True)
    if asked.shape:
        fill(source, asked.weights, SHAPES[asked.shape], out)
    else:
        convert(source, asked.weights, out)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
