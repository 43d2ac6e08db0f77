"""Writes src/kernels/reference/dequantize_golden.inc: random blocks of every format that we compute,
and the float32 values that the PyPI package `gguf` (0.19) reads from them.

usage: make_dequantize_golden.py > src/kernels/reference/dequantize_golden.inc
"""

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Where a block keeps 16-bit floats: these must be finite, everything else may be any bits.
HALVES = {"F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
ROWS, COLUMNS = 2, 256


def literal(data: bytes) -> str:
    text = data.hex()
    return "\n".join(f'    "{text[i:i + 92]}"' for i in range(0, len(text), 92))


def blocks(name: str, random: np.random.Generator) -> np.ndarray:
    if name in ("F32", "BF16"):
        values = random.normal(0, 1e3, (ROWS, COLUMNS)).astype("<f4").view(np.uint8)
        values = values.reshape(ROWS, COLUMNS, 4)
        return (values if name == "F32" else values[..., 2:]).reshape(ROWS, -1)
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    data = random.integers(0, 256, (ROWS, COLUMNS // elements, size), dtype=np.uint8)
    for at in HALVES[name]:
        # Any finite half: subnormal and negative ones too, the exponent never all ones.
        data[..., at + 1] &= np.where(data[..., at + 1] & 0x7C == 0x7C, 0xFB, 0xFF).astype(np.uint8)
    return data.reshape(ROWS, -1)


def main() -> None:
    random = np.random.default_rng(20)
    print("// Made by tests/golden/make_dequantize_golden.py. Two rows of 256 elements in hexadecimal:")
    print("// GOLDEN(type, stored bytes, the same as little-endian float32)")
    for name in ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"):
        data = blocks(name, random)
        kind = GGMLQuantizationType[name]
        typed = data.view({"F32": np.float32, "F16": np.float16}.get(name, np.uint8))
        values = np.asarray(dequantize(typed, kind), dtype="<f4").reshape(ROWS, COLUMNS)
        assert np.isfinite(values).all()
        print(f"GOLDEN({name},\n{literal(data.tobytes())},\n{literal(values.tobytes())})")


main()
