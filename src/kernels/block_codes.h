#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed_matrix.h"
#include "tensor/dtype.h"

namespace dunlin {

/// 32 consecutive elements of a row of a quantized file format, taken apart without rounding:
/// value = scale * (code - zero) + min, with `zero` from the PackedFormat.
struct BlockCodes {
    int8_t codes[kBlock];
    float scale[2];  // the second for elements 16..31 where the format has two
    float min;
};

/// The packed format that holds `dtype` exactly; quantized() is false for plain number types.
PackedFormat packed_format(DType dtype);

/// Takes apart elements 32 * block .. 32 * block + 31 of a row that starts at `row`.
/// REQUIRES: packed_format(dtype).quantized().
void read_block_codes(DType dtype, const std::byte* row, size_t block, BlockCodes& out);

}  // namespace dunlin
