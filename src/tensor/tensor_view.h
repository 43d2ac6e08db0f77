#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/checked.h"
#include "tensor/dtype.h"

namespace dunlin {

/// Up to four dimensions, the fastest-changing first, as GGUF files count them: a weight matrix
/// that maps `in` features to `out` features is {in, out}. Unused dimensions are 1.
struct Shape {
    static constexpr size_t kDimensionsMax = 4;
    uint64_t dims[kDimensionsMax] = {1, 1, 1, 1};

    /// Length of a row: the dimension whose elements lie side by side.
    uint64_t columns() const { return dims[0]; }
    /// Number of rows. REQUIRES: the product fits (a WeightSource has checked it).
    uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
    bool operator==(const Shape&) const = default;
};

/// A tensor that somebody else owns. Row-major, rows contiguous, no padding. No maths here.
struct TensorView {
    DType dtype = DType::F32;
    Shape shape;
    std::span<const std::byte> data;

    size_t row_bytes() const {
        const BlockFormat& format = block_format(dtype);
        return shape.columns() / format.block_elements * format.block_bytes;
    }
    std::span<const std::byte> row(uint64_t index) const {
        return data.subspan(index * row_bytes(), row_bytes());
    }
};

/// Bytes that a tensor of this type and shape takes; nothing where the number overflows or a row
/// is not a whole number of blocks.
inline std::optional<uint64_t> tensor_bytes(DType dtype, const Shape& shape) {
    const BlockFormat& format = block_format(dtype);
    if (shape.columns() % format.block_elements != 0) return std::nullopt;
    auto bytes = checked_mul<uint64_t>(shape.columns() / format.block_elements, format.block_bytes);
    for (size_t i = 1; bytes && i < Shape::kDimensionsMax; ++i)
        bytes = checked_mul(*bytes, shape.dims[i]);
    return bytes;
}

}  // namespace dunlin
