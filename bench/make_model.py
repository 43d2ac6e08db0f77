#!/usr/bin/env python3
"""Makes model files to measure with, of the llama architecture.

usage: bench/make_model.py --from MODEL.gguf --weights Q4_0 OUT.gguf
       bench/make_model.py --from MODEL.gguf --weights Q4_K_M --shape 4b OUT.gguf

The first writes the model's matrices in another format: the same model, so its answers are worth comparing. The second
fills a shape with random codes, so nothing it says means anything, but it takes as long as a real one; MODEL gives the
vocabulary. Mixes (Q4_K_M, Q5_K_M) give each matrix the format that llama.cpp's quantization gives it; rows that are no
multiple of 256 fall back to the formats that it falls back to. Needs what bench/requirements.txt lists.

One matrix at a time is made and written, so memory stays small; the disk is asked for room first, and nothing
incomplete ever bears the name OUT.gguf.
"""

import argparse
import collections.abc
import dataclasses
import math
import pathlib
import shutil

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

from weights import BLOCKS, MIXES, file_type, kind_for, random_matrix


@dataclasses.dataclass
class Shape:
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    inner: int


# As Qwen2.5-0.5B and Qwen3-4B, but with MODEL's vocabulary and without their biases and norms of heads. Both tie the
# output to the embedding, so these do; "tiny" is for tests.
SHAPES = {
    "tiny": Shape(layers=2, hidden=256, heads=4, kv_heads=2, head=64, inner=512),
    "0.5b": Shape(layers=24, hidden=896, heads=14, kv_heads=2, head=64, inner=4864),
    "4b": Shape(layers=36, hidden=2560, heads=32, kv_heads=8, head=128, inner=9728),
}
# Left free beside the file.
SPARE_BYTES = 64 << 20


@dataclasses.dataclass
class Tensor:
    """A tensor to write: what the file says of it, and how its numbers are made when its turn comes."""
    name: str
    shape: tuple
    kind: Type
    make: collections.abc.Callable

    @property
    def bytes(self):
        elements, bytes_each = gguf.GGML_QUANT_SIZES[self.kind]
        return math.prod(self.shape) // elements * bytes_each


def copy_fields(source, out, skipped):
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or name in skipped:
            continue
        kinds = field.types
        out.add_key_value(name, field.contents(), kinds[0], kinds[-1] if len(kinds) > 1 else None)


def convert(source, weights, out):
    """The tensors of the source in another format."""
    copy_fields(source, out, {"general.file_type"})
    layers = int(source.fields["llama.block_count"].contents())
    tied = all(tensor.name != "output.weight" for tensor in source.tensors)
    for tensor in source.tensors:
        parts = tensor.name.split(".")
        shape = tuple(int(size) for size in reversed(tensor.shape))
        layer = int(parts[1]) if parts[0] == "blk" else 0
        kind = Type.F32 if len(shape) < 2 else kind_for(weights, parts[-2], layer, layers, shape[-1], tied)
        if kind in (Type.Q4_K, Type.Q5_K, Type.Q6_K):
            raise SystemExit("make_model: gguf cannot write k-quants of given numbers; use --shape")
        if shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            raise SystemExit(f"make_model: {tensor.name} has rows of {shape[-1]}, which {kind.name} cannot hold")
        yield Tensor(tensor.name, shape, kind, lambda tensor=tensor, kind=kind: quantize(
            dequantize(tensor.data, tensor.tensor_type), kind))


def vocabulary_of(source):
    tokens = source.fields.get("tokenizer.ggml.tokens")
    if tokens is not None:
        return len(tokens.data)
    return next(int(tensor.shape[1]) for tensor in source.tensors if tensor.name == "token_embd.weight")


def describe(source, shape, out):
    """The fields of the header that say what shape the model has."""
    copy_fields(source, out, {name for name in source.fields if name.startswith("llama.")} | {"general.file_type"})
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
    out.add_vocab_size(vocabulary_of(source))


def fill(source, weights, shape, out):
    """Random tensors of a shape."""
    describe(source, shape, out)
    random = np.random.default_rng(7)

    def matrix(name, rows, columns, layer=0):
        kind = kind_for(weights, name.split(".")[-1], layer, shape.layers, columns, tied=True)
        return Tensor(name + ".weight", (rows, columns), kind, lambda: random_matrix(random, rows, columns, kind))

    def norm(name):
        return Tensor(name + ".weight", (shape.hidden,), Type.F32, lambda: np.ones(shape.hidden, dtype=np.float32))

    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    yield matrix("token_embd", vocabulary_of(source), shape.hidden)
    for layer in range(shape.layers):
        at = f"blk.{layer}."
        yield norm(at + "attn_norm")
        yield matrix(at + "attn_q", q, shape.hidden, layer)
        yield matrix(at + "attn_k", kv, shape.hidden, layer)
        yield matrix(at + "attn_v", kv, shape.hidden, layer)
        yield matrix(at + "attn_output", shape.hidden, q, layer)
        yield norm(at + "ffn_norm")
        yield matrix(at + "ffn_gate", shape.inner, shape.hidden, layer)
        yield matrix(at + "ffn_up", shape.inner, shape.hidden, layer)
        yield matrix(at + "ffn_down", shape.hidden, shape.inner, layer)
    yield norm("output_norm")


def write(tensors, out, path):
    """Writes the header, then makes and writes one tensor after the other."""
    tensors = list(tensors)
    needed, free = sum(tensor.bytes for tensor in tensors) + SPARE_BYTES, shutil.disk_usage(path.parent).free
    if needed > free:
        raise SystemExit(f"make_model: {path.parent} has {free >> 20} MiB free; {needed >> 20} MiB are needed")
    for tensor in tensors:
        out.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=tensor.kind)
    part = path.with_name(path.name + ".part")
    try:
        out.write_header_to_file(part)
        out.write_kv_data_to_file()
        out.write_ti_data_to_file()
        for tensor in tensors:
            out.write_tensor_data(tensor.make())
        out.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", required=True, help="a GGUF file of the llama architecture")
    known = sorted(MIXES) + sorted(kind.name for kind in BLOCKS) + ["BF16", "F16", "F32"]
    parser.add_argument("--weights", required=True, choices=known)
    parser.add_argument("--shape", choices=sorted(SHAPES), help="random weights in this shape")
    parser.add_argument("out", type=pathlib.Path)
    asked = parser.parse_args()
    try:
        source = gguf.GGUFReader(asked.source)
    except (OSError, ValueError) as error:
        raise SystemExit(f"make_model: {asked.source}: {error}") from None
    if source.fields["general.architecture"].contents() != "llama":
        raise SystemExit(f"make_model: {asked.source} is not of the llama architecture")
    out = gguf.GGUFWriter(None, "llama")
    out.add_file_type(file_type(asked.weights))
    tensors = fill(source, asked.weights, SHAPES[asked.shape], out) if asked.shape else convert(source, asked.weights, out)
    write(tensors, out, asked.out)


if __name__ == "__main__":
    main()
