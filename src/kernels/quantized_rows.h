#pragma once

#include <cstddef>
#include <cstdint>

#include "base/line_vector.h"
#include "kernels/packed_matrix.h"

namespace dunlin {

/// A block's largest number counts as an outlier when it is more than so many times the second
/// largest.
inline constexpr float kOutlierRatio = 2.0F;

/// Rows whose codes stand together.
inline constexpr size_t kTileRows = 16;

/// Rows whose outliers are looked for together.
inline constexpr size_t kRowsAtOnce = 64;

/// Rows of activations in the form that quantized weights are multiplied with: for each 32 columns
/// a scale and signed bytes, x = scale * code, code = round(x * (127 / max|x|)).
///
/// Where any number of a block is NaN or infinite, so is the scale, and every product with the row
/// is NaN.
///
/// An outlier would leave the rest of its block a few of the 255 codes, and the error of those few
/// rows and columns is what a model notices. It is therefore taken out: its code is 0, the scale
/// fits the others, and a multiplication adds outlier * weight on its own.
///
/// Written by Kernels::quantize. `columns` is a multiple of 32.
struct QuantizedRows {
    int8_t* codes = nullptr;    // [rows in tiles of 16][blocks][16][32], see code_at()
    float* scales = nullptr;    // [blocks][row_stride]
    float* offsets = nullptr;   // [blocks][row_stride]: scale * (sum of the codes)
    int32_t* sums = nullptr;    // [blocks][row_stride][2]: sums of 16 codes each
    float* outliers = nullptr;  // [blocks][row_stride]: where there is one
    uint8_t* places = nullptr;  // [rows][place_stride()]: 1 + the outlier's column in its block; 0
                                // where there is none, and behind the last block
    uint8_t* places_by_block = nullptr;  // [blocks][row_stride]: the same, for many rows at once
    size_t columns = 0;
    size_t row_stride = 0;  // of what is kept by block: at least the rows, and zeros behind them

    size_t blocks() const { return columns / kBlock; }
    /// Where a block's codes begin. Those of 16 rows stand together, as a multiplication meets
    /// them.
    size_t code_at(size_t row, size_t block) const {
        return ((row / kTileRows * blocks() + block) * kTileRows + row % kTileRows) * kBlock;
    }
    /// Whole words of eight blocks, so that blocks without an outlier are skipped eight at a time.
    size_t place_stride() const { return (blocks() + 7) / 8 * 8; }
};

/// The memory of QuantizedRows, all zeros at first. Movable; the view stays valid.
class QuantizedBuffer {
 public:
    QuantizedBuffer() = default;
    /// REQUIRES: columns is a multiple of 32.
    QuantizedBuffer(size_t rows, size_t columns)
        : codes_((rows + kTileRows - 1) / kTileRows * kTileRows * columns) {
        view_.columns = columns;
        // An odd number of cache lines, so that a row's scales do not compete for a few places.
        view_.row_stride = ((rows + 15) / 16 | 1U) * 16;
        const size_t by_block = view_.blocks() * view_.row_stride;
        numbers_.resize(3 * by_block);
        sums_.resize(2 * by_block);
        places_.resize(rows * view_.place_stride());
        // Any row may begin a word.
        places_by_block_.resize(by_block + kRowsAtOnce);
        view_.codes = codes_.data(), view_.sums = sums_.data(), view_.places = places_.data();
        view_.places_by_block = places_by_block_.data();
        view_.scales = numbers_.data();
        view_.offsets = view_.scales + by_block;
        view_.outliers = view_.offsets + by_block;
    }

    const QuantizedRows& view() const { return view_; }
    QuantizedBuffer(QuantizedBuffer&&) = default;
    QuantizedBuffer& operator=(QuantizedBuffer&&) = default;

    uint64_t bytes() const {
        return codes_.size() + places_.size() + places_by_block_.size() +
               4 * (numbers_.size() + sums_.size());
    }

 private:
    LineVector<int8_t> codes_;
    LineVector<float> numbers_;
    LineVector<int32_t> sums_;
    LineVector<uint8_t> places_, places_by_block_;
    QuantizedRows view_;
};

}  // namespace dunlin
