// Multiplication of packed panels. One pass over a panel serves up to V::kTokens rows of
// activations; what one row gets does not depend on how many there are, because every row has its
// own chain: blocks ascending, exact integer sums inside a block, then one fused multiply-add; the
// row's outliers last. For a few rows those are looked for row by row, for many block by block.

#pragma once

#include <bit>
#include <cstring>

#include "kernels/cpu/runs.h"
#include "kernels/kernels.h"

namespace dunlin {

template <class V, bool Wide>
typename V::F load_scale(const std::byte* p) {
    if constexpr (Wide)
        return V::load(reinterpret_cast<const float*>(p));
    else
        return V::load_half(reinterpret_cast<const uint16_t*>(p));
}

template <class V>
void finish(float* out, typename V::F sum, bool add) {
    V::store(out, add ? V::add(V::load(out), sum) : sum);
}

/// What is compiled into a kernel of its own; `zero` is not, being the same for all.
struct Shape4 {
    PackedFormat::Codes codes;
    bool wide, has_min;
    int scales;
};

/// Column `k` of a block as numbers: what dequantizing the file gives for each of the 16 rows.
template <class V, Shape4 S>
typename V::F block_column(const PackedFormat& format, const std::byte* block, size_t k) {
    constexpr bool kNibbles = S.codes == PackedFormat::Codes::U4;
    const auto* codes = reinterpret_cast<const uint8_t*>(block);
    const std::byte* scales = block + format.code_bytes();
    const size_t s = S.scales == 2 ? k / 16 : 0;
    const auto scale = load_scale<V, S.wide>(scales + s * format.scale_bytes());
    typename V::F code;
    if constexpr (kNibbles)
        code = V::add(V::nibbles(codes + k / 4 % 4 * 64, static_cast<int>(k % 4 * 8 + k / 16 * 4)),
                      V::all(-static_cast<float>(format.zero)));
    else
        code = V::signed_bytes(codes + k / 4 * 64, static_cast<int>(k % 4 * 8));
    if constexpr (S.has_min)
        return V::fma(scale, code, load_scale<V, S.wide>(scales + S.scales * format.scale_bytes()));
    else
        return V::mul(scale, code);
}

template <class V, Shape4 S>
typename V::F add_outliers(const PackedMatrix& matrix, const std::byte* panel,
                           const QuantizedRows& x, size_t row, typename V::F sum) {
    const uint8_t* places = x.places + row * x.place_stride();
    for (size_t first = 0; first < x.blocks(); first += 8) {
        uint64_t eight = 0;
        std::memcpy(&eight, places + first, 8);
        while (eight != 0) {
            const auto index = static_cast<size_t>(std::countr_zero(eight)) / 8;
            const size_t b = first + index;
            eight &= ~(uint64_t{255} << (8 * index));
            sum = V::fma(
                V::all(x.outliers[b * x.row_stride + row]),
                block_column<V, S>(matrix.format(), panel + b * matrix.format().block_bytes(),
                                   places[b] - size_t{1}),
                sum);
        }
    }
    return sum;
}

/// The same for up to kRowsAtOnce rows and their sums, [row][16]. The same few columns are outliers
/// in most rows, so each is made numbers of once for all of these.
template <class V, Shape4 S>
void add_outliers_by_block(const PackedMatrix& matrix, const std::byte* panel,
                           const QuantizedRows& x, size_t row, size_t rows, float* sums) {
    const size_t blocks = x.blocks();
    const size_t block_bytes = matrix.format().block_bytes();
    for (size_t b = 0; b < blocks; ++b, panel += block_bytes) {
        const uint8_t* places = x.places_by_block + b * x.row_stride + row;
        const float* outliers = x.outliers + b * x.row_stride + row;
        uint64_t left = ~V::equal_bytes(places, 0) & (~uint64_t{0} >> (kRowsAtOnce - rows));
        while (left != 0) {
            const uint8_t place = places[std::countr_zero(left)];
            const auto column = block_column<V, S>(matrix.format(), panel, place - size_t{1});
            uint64_t same = left & V::equal_bytes(places, place);
            left &= ~same;
            for (; same != 0; same &= same - 1) {
                const auto t = static_cast<size_t>(std::countr_zero(same));
                float* sum = sums + t * kPanelRows;
                V::store(sum, V::fma(V::all(outliers[t]), column, V::load(sum)));
            }
        }
    }
}

/// Rows for which it pays to look for outliers block by block.
inline constexpr size_t kManyRows = 4;

/// Up to kRowsAtOnce rows, from the sums of their blocks to the output.
template <class V, Shape4 S>
void finish_rows(const PackedMatrix& matrix, const std::byte* panel, const QuantizedRows& x,
                 size_t row, size_t rows, float* sums, float* out, size_t out_stride, bool add) {
    if (rows >= kManyRows) add_outliers_by_block<V, S>(matrix, panel, x, row, rows, sums);
    for (size_t t = 0; t < rows; ++t) {
        auto sum = V::load(sums + t * kPanelRows);
        if (rows < kManyRows) sum = add_outliers<V, S>(matrix, panel, x, row + t, sum);
        finish<V>(out + t * out_stride, sum, add);
    }
}

/// Asks for what comes behind `line` of a panel, into the first cache: what is not there yet is
/// waited for. Where a register holds a line, one row is multiplied so fast that this way, which
/// has room for few lines under way, is the slower one; the second cache has more.
template <class V, int N>
void ask_ahead(const std::byte* line) {
    if constexpr (V::kLineAtOnce && N < 4)
        __builtin_prefetch(line + 1024, 0, 2);
    else
        __builtin_prefetch(line + 2048, 0, 3);
}

/// The sums of N rows' blocks, without outliers: [row][16]. Fresh: the panel comes from memory.
/// REQUIRES: the rows are of one tile.
template <class V, Shape4 S, bool Fresh, int N>
void multiply_rows(const PackedMatrix& matrix, const std::byte* panel, const QuantizedRows& x,
                   size_t row, float* out) {
    using F = typename V::F;
    constexpr bool kNibbles = S.codes == PackedFormat::Codes::U4;
    const size_t blocks = x.blocks();
    const size_t block_bytes = matrix.format().block_bytes();
    const size_t code_bytes = matrix.format().code_bytes();
    const size_t scale_bytes = matrix.format().scale_bytes();
    const int bias = kNibbles ? matrix.format().zero : V::kSignedBias;
    const int8_t* codes = x.codes + x.code_at(row, 0);
    const float* scales = x.scales + row;
    const float* offsets = x.offsets + row;
    const int32_t* sums = x.sums + row * 2;

    F acc[N];
    for (int t = 0; t < N; ++t) acc[t] = V::zero();
    const std::byte* block = panel;
    for (size_t b = 0; b < blocks; ++b, block += block_bytes) {
        if constexpr (Fresh)
            for (size_t line = 0; line < block_bytes; line += 64) ask_ahead<V, N>(block + line);
        const auto* w = reinterpret_cast<const uint8_t*>(block);
        const std::byte* scale_at = block + code_bytes;
        if constexpr (S.has_min) {
            const F min = load_scale<V, S.wide>(scale_at + scale_bytes);
            for (int t = 0; t < N; ++t)
                acc[t] =
                    V::fma(min, V::all(offsets[b * x.row_stride + static_cast<size_t>(t)]), acc[t]);
        }
        for (int s = 0; s < S.scales; ++s) {
            const F scale = load_scale<V, S.wide>(scale_at + s * scale_bytes);
            typename V::I dots[N];
            if constexpr (kNibbles)
                V::template dot_u4<N>(w, codes + b * kTileRows * kBlock, dots);
            else
                V::template dot_s8<N>(w, codes + b * kTileRows * kBlock, s * 8 / S.scales,
                                      (s + 1) * 8 / S.scales, dots);
            for (int t = 0; t < N; ++t) {
                if (bias != 0) {
                    const int32_t* sum = sums + (b * x.row_stride + static_cast<size_t>(t)) * 2;
                    const int32_t total = S.scales == 2 ? sum[s] : sum[0] + sum[1];
                    dots[t] = V::sub_int(dots[t], V::all_int(bias * total));
                }
                acc[t] =
                    V::fma(V::mul(scale, V::all(scales[b * x.row_stride + static_cast<size_t>(t)])),
                           V::to_float(dots[t]), acc[t]);
            }
        }
    }
    for (int t = 0; t < N; ++t) V::store(out + t * kPanelRows, acc[t]);
}

/// Runs of rows that do not reach from one tile into the next.
template <class V, class Body>
void in_tiles(size_t begin, size_t end, Body&& body) {
    while (begin < end) {
        const size_t tile_end = (begin / kTileRows + 1) * kTileRows;
        const size_t stop = tile_end < end ? tile_end : end;
        in_runs<V::kTokens>(begin, stop, body);
        begin = stop;
    }
}

template <class V, Shape4 S>
void multiply_shape(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x, size_t begin,
                    size_t end, float* out, size_t out_stride, bool add) {
    const std::byte* weights = matrix.panel(panel);
    alignas(64) float sums[kRowsAtOnce * kPanelRows];
    for (size_t first = begin; first < end; first += kRowsAtOnce) {
        const size_t rows = end - first < kRowsAtOnce ? end - first : kRowsAtOnce;
        in_tiles<V>(first, first + rows, [&]<int N>(size_t row) {
            float* to = sums + (row - first) * kPanelRows;
            if (row == begin)
                multiply_rows<V, S, true, N>(matrix, weights, x, row, to);
            else
                multiply_rows<V, S, false, N>(matrix, weights, x, row, to);
        });
        finish_rows<V, S>(matrix, weights, x, first, rows, sums, out + first * out_stride,
                          out_stride, add);
    }
}

/// Calls `body.template operator()<S>()` with the shape that a format has.
template <class Body>
void with_shape(const PackedFormat& f, Body&& body) {
    using enum PackedFormat::Codes;
    if (f.codes == U4) {
        if (!f.has_min)
            body.template operator()<Shape4{U4, false, false, 1}>();
        else if (f.wide_scales)
            body.template operator()<Shape4{U4, true, true, 1}>();
        else
            body.template operator()<Shape4{U4, false, true, 1}>();
    } else if (f.scales == 2) {
        body.template operator()<Shape4{S8, true, false, 2}>();
    } else if (f.has_min) {
        if (f.wide_scales)
            body.template operator()<Shape4{S8, true, true, 1}>();
        else
            body.template operator()<Shape4{S8, false, true, 1}>();
    } else {
        body.template operator()<Shape4{S8, false, false, 1}>();
    }
}

template <class V>
void multiply_quantized(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x,
                        size_t begin, size_t end, float* out, size_t out_stride, bool add) {
    with_shape(matrix.format(), [&]<Shape4 S>() {
        multiply_shape<V, S>(matrix, panel, x, begin, end, out, out_stride, add);
    });
}

/// Adds to N rows' sums what `count` pairs of columns give: [16] words each of the weights, [row]
/// [kBlockWords] of the activations.
template <class V, int N>
[[gnu::always_inline]] inline void add_block_of_pairs(const uint32_t* weights, const uint32_t* x,
                                                      size_t count, typename V::F (&sums)[N]) {
    constexpr size_t kWords = BfloatRows::kBlockWords;
    static_assert(kWords == kPanelRows);
    // Where pairs are not multiplied as such, taking those of the activations apart is work too.
    alignas(64) float odd[V::kAddsPairs ? 1 : N * kWords], even[V::kAddsPairs ? 1 : N * kWords];
    if constexpr (!V::kAddsPairs)
        for (size_t t = 0; t < N; ++t) {
            const auto halves = V::load_pairs(x + t * kWords);
            V::store(odd + t * kWords, halves.odd);
            V::store(even + t * kWords, halves.even);
        }
    for (size_t p = 0; p < count; ++p, weights += kPanelRows) {
        if constexpr (V::kAddsPairs) {
            for (size_t t = 0; t < N; ++t)
                sums[t] = V::add_pairs(sums[t], weights, x + t * kWords + p);
        } else {
            const auto w = V::load_pairs(weights);
            for (size_t t = 0; t < N; ++t)
                sums[t] = V::fma(w.even, V::all(even[t * kWords + p]),
                                 V::fma(w.odd, V::all(odd[t * kWords + p]), sums[t]));
        }
    }
}

/// N rows, each from its sum to the output. Processors fetch one stream ahead by themselves, and
/// asking for it as well was slower. REQUIRES: the rows are of one tile.
template <class V, int N>
void multiply_pairs(const uint32_t* weights, const BfloatRows& x, size_t row, float* out,
                    size_t out_stride, bool add) {
    constexpr size_t kWords = BfloatRows::kBlockWords;
    const size_t pairs = (x.columns + 1) / 2;
    const uint32_t* of_block = x.pairs + x.at(row, 0);
    typename V::F sums[N];
    for (int t = 0; t < N; ++t) sums[t] = V::zero();
    for (size_t first = 0; first < pairs; first += kWords) {
        const size_t count = pairs - first < kWords ? pairs - first : kWords;
        add_block_of_pairs<V, N>(weights, of_block, count, sums);
        weights += kWords * kPanelRows;
        of_block += kTileRows * kWords;
    }
    for (int t = 0; t < N; ++t) finish<V>(out + static_cast<size_t>(t) * out_stride, sums[t], add);
}

template <class V>
void multiply_bfloats(const PackedMatrix& matrix, size_t panel, const BfloatRows& x, size_t begin,
                      size_t end, float* out, size_t out_stride, bool add) {
    const auto* weights = reinterpret_cast<const uint32_t*>(matrix.panel(panel));
    in_tiles<V>(begin, end, [&]<int N>(size_t row) {
        multiply_pairs<V, N>(weights, x, row, out + row * out_stride, out_stride, add);
    });
}

/// 16 numbers of column `column`, one of each row. Widening is exact.
template <class V, PackedFormat::Codes C>
typename V::F load_numbers(const std::byte* panel, size_t column) {
    if constexpr (C == PackedFormat::Codes::F32)
        return V::load(reinterpret_cast<const float*>(panel) + column * kPanelRows);
    else
        return V::load_half(reinterpret_cast<const uint16_t*>(panel) + column * kPanelRows);
}

template <class V>
void multiply_plain(const PackedMatrix& matrix, size_t panel, const float* x, size_t x_stride,
                    size_t begin, size_t end, float* out, size_t out_stride, bool add) {
    using enum PackedFormat::Codes;
    const std::byte* weights = matrix.panel(panel);
    const auto run = [&]<PackedFormat::Codes C>() {
        in_runs<V::kTokens>(begin, end, [&]<int N>(size_t row) {
            typename V::F acc[N];
            for (int t = 0; t < N; ++t) acc[t] = V::zero();
            for (size_t c = 0; c < matrix.columns(); ++c) {
                const auto w = load_numbers<V, C>(weights, c);
                for (int t = 0; t < N; ++t)
                    acc[t] = V::fma(w, V::all(x[(row + t) * x_stride + c]), acc[t]);
            }
            for (int t = 0; t < N; ++t) finish<V>(out + (row + t) * out_stride, acc[t], add);
        });
    };
    if (matrix.format().codes == F32)
        run.template operator()<F32>();
    else
        run.template operator()<F16>();
}

}  // namespace dunlin
