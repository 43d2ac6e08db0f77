#pragma once

#include <cstddef>
#include <cstdint>

#include "base/line_vector.h"
#include "kernels/quantized_rows.h"

namespace dunlin {

/// Smaller numbers become zeros where BF16 is multiplied, of weights as of activations. Processors
/// that multiply pairs of BF16 at once take subnormal numbers for zeros, others do not; so there
/// are none: what is left has 8 bits of mantissa and is a multiple of 2^-63, a product of two is
/// one of 2^-126, and so is every sum of such, because rounding to f32 keeps multiples of powers of
/// two down to 2^-149. A multiple of 2^-126, the least normal number, is zero or normal.
inline constexpr float kLeastBfloat = 0x1p-56F;

/// Rows of activations as BF16, for the weights that are: rounded to the nearest, ties to even,
/// those smaller than kLeastBfloat to zero, NaN to NaN and the largest to infinity. Two columns
/// stand in a word, the even one in its lower half, as a multiplication meets them.
///
/// Written by Kernels::round_to_bfloats; zeros behind the last column.
struct BfloatRows {
    static constexpr size_t kBlockWords = kBlock / 2;

    uint32_t* pairs = nullptr;  // [rows in tiles of 16][blocks][16][kBlockWords], see at()
    size_t columns = 0;

    size_t blocks() const { return (columns + kBlock - 1) / kBlock; }
    /// Where a row's block of 32 columns begins.
    size_t at(size_t row, size_t block) const {
        return ((row / kTileRows * blocks() + block) * kTileRows + row % kTileRows) * kBlockWords;
    }
};

/// The memory of BfloatRows, all zeros at first. Movable; the view stays valid.
class BfloatBuffer {
 public:
    BfloatBuffer() = default;
    BfloatBuffer(size_t rows, size_t columns) {
        view_.columns = columns;
        pairs_.resize((rows + kTileRows - 1) / kTileRows * kTileRows * view_.blocks() *
                      BfloatRows::kBlockWords);
        view_.pairs = pairs_.data();
    }

    const BfloatRows& view() const { return view_; }
    BfloatBuffer(BfloatBuffer&&) = default;
    BfloatBuffer& operator=(BfloatBuffer&&) = default;

    uint64_t bytes() const { return 4 * pairs_.size(); }

 private:
    LineVector<uint32_t> pairs_;
    BfloatRows view_;
};

}  // namespace dunlin
