"""The formats of a model's matrices, and random matrices of them, for bench/make_model.py."""

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize

# For a mix: most matrices, and the more important ones, the output among them.
MIXES = {"Q4_K_M": (Type.Q4_K, Type.Q6_K), "Q5_K_M": (Type.Q5_K, Type.Q6_K)}
# What a file calls its formats where the name is not the one of its matrices.
FILE_TYPES = {"Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S", "F32": "ALL_F32"}
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


def file_type(weights):
    """The number that stands in a file's header for its formats; some engines do not read a file without it."""
    name = FILE_TYPES.get(weights, weights)
    return gguf.LlamaFileType[name if name == "ALL_F32" else "MOSTLY_" + name]


def kind_for(weights, name, layer, layers, columns, tied):
    """The format of a matrix, as llama.cpp chooses it."""
    output = name == "output" or (tied and name == "token_embd")
    if weights in MIXES:
        usual, better = MIXES[weights]
        first, last = layers // 8, 7 * layers // 8
        important = name in ("attn_v", "ffn_down") and (layer < first or layer >= last or (layer - first) % 3 == 2)
        kind = better if output or important else usual
        return FALLBACKS[kind] if columns % 256 else kind
    kind = Type[weights]
    # The output keeps eight bits, and the embedding too.
    return Type.Q8_0 if name in ("token_embd", "output") and kind in (Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1) else kind
