// Intel's tiles (AMX, INT8): one instruction multiplies 16 rows of activations with the 16 rows of
// a panel over one block and adds up in integers, which is what eight byte products and additions
// do for each of them in simd_avx512.h. The integers are the same, what follows them is the same
// code in the same order, and so are the bits.
//
// The panel's codes for kChunkBlocks blocks are spread out to signed bytes once for kChunkRows rows
// of activations; 16 rows at a time then pass over the chunk with their sums in registers. What is
// left of the rows goes to the other kernel.

#if defined(__x86_64__)

#include <algorithm>

#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_avx512.h"

namespace dunlin {
namespace {

constexpr size_t kTileRows = 16;
constexpr size_t kChunkRows = kRowsAtOnce, kChunkBlocks = 32;
constexpr size_t kAhead = 3;
constexpr size_t kBytesOfBlock = kBlock * kPanelRows;

/// Intel's layout of a tile configuration (SDM volume 1, 18.2).
struct alignas(64) TileShapes {
    uint8_t palette = 1, first_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

/// Tiles by number: sums, activations and weights, twice, because a tile that is written anew waits
/// for what was done with its old contents.
constexpr int kSums = 0, kX = 2, kW = 4;

/// Of a whole block, or of half of one where a block has two scales.
constexpr TileShapes shapes_for(bool half) {
    TileShapes shapes;
    const auto set = [&](int tile, size_t rows, size_t row_bytes) {
        for (int i = tile; i < tile + 2; ++i) {
            shapes.rows[i] = static_cast<uint8_t>(rows);
            shapes.row_bytes[i] = static_cast<uint16_t>(row_bytes);
        }
    };
    const size_t columns = half ? kBlock / 2 : kBlock;
    set(kSums, kTileRows, 4 * kPanelRows);
    set(kX, kTileRows, columns);
    set(kW, columns / 4, 4 * kPanelRows);
    return shapes;
}
constexpr TileShapes kShapes[] = {shapes_for(false), shapes_for(true)};

/// The products of 16 rows of codes, `stride` bytes apart, with `weights`: [row][panel row].
template <int Which>
void multiply_tile(const int8_t* codes, size_t stride, const int8_t* weights, int32_t* sums) {
    _tile_zero(kSums + Which);
    _tile_loadd(kX + Which, codes, stride);
    _tile_loadd(kW + Which, weights, 4 * kPanelRows);
    _tile_dpbssd(kSums + Which, kX + Which, kW + Which);
    _tile_stored(kSums + Which, sums, 4 * kPanelRows);
}

/// Codes of a block as signed bytes in groups of four columns. Those that are already so stay where
/// they are.
template <Shape4 S>
const int8_t* spread(const std::byte* block, int zero, int8_t* to) {
    if constexpr (S.codes == PackedFormat::Codes::S8) {
        return reinterpret_cast<const int8_t*>(block);
    } else {
        const __m512i low = _mm512_set1_epi8(15);
        const __m512i offset = _mm512_set1_epi8(static_cast<char>(zero));
        for (size_t g = 0; g < 4; ++g) {
            const __m512i both = _mm512_loadu_si512(block + 64 * g);
            const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
            _mm512_store_si512(to + 64 * g, _mm512_sub_epi8(_mm512_and_si512(both, low), offset));
            _mm512_store_si512(to + 64 * (g + 4), _mm512_sub_epi8(upper, offset));
        }
        return to;
    }
}

/// What all rows of activations meet in a chunk of a panel.
struct Chunk {
    const std::byte* panel;  // its first block
    size_t first, count;     // blocks
    const int8_t* codes[kChunkBlocks];
};

/// Adds a chunk to 16 rows' sums.
template <Shape4 S>
void add_chunk(const PackedFormat& format, const Chunk& chunk, const QuantizedRows& x, size_t row,
               float* sums) {
    using V = Avx512;
    const size_t blocks = x.blocks();
    const size_t block_bytes = format.block_bytes();
    const size_t scale_bytes = format.scale_bytes();
    const std::byte* scales = chunk.panel + format.code_bytes();
    const float* x_scales = x.scales + row * blocks + chunk.first;
    const float* x_offsets = x.offsets + row * blocks + chunk.first;
    const int8_t* x_codes = x.codes + row * x.columns + chunk.first * kBlock;
    // A tile's way through memory is long: products are taken up kAhead pieces after they were
    // made.
    alignas(64) int32_t dots[kAhead + 1][kTileRows * kPanelRows];
    const size_t pieces = chunk.count * S.scales;
    const auto make = [&](size_t i) {
        const size_t b = i / S.scales;
        const size_t half = i % S.scales;
        const int8_t* from = x_codes + b * kBlock + half * (kBlock / 2);
        const int8_t* weights = chunk.codes[b] + half * (kBytesOfBlock / 2);
        if (i % 2 == 0)
            multiply_tile<0>(from, x.columns, weights, dots[i % (kAhead + 1)]);
        else
            multiply_tile<1>(from, x.columns, weights, dots[i % (kAhead + 1)]);
    };
    for (size_t i = 0; i < std::min(kAhead, pieces); ++i) make(i);
    V::F acc[kTileRows];
    for (size_t t = 0; t < kTileRows; ++t) acc[t] = V::load(sums + t * kPanelRows);
    for (size_t i = 0; i < pieces; ++i) {
        if (i + kAhead < pieces) make(i + kAhead);
        const size_t b = i / S.scales;
        const std::byte* at = scales + b * block_bytes;
        if (S.has_min && i % S.scales == 0) {
            const auto min = load_scale<V, S.wide>(at + S.scales * scale_bytes);
            for (size_t t = 0; t < kTileRows; ++t)
                acc[t] = V::fma(min, V::all(x_offsets[t * blocks + b]), acc[t]);
        }
        const auto scale = load_scale<V, S.wide>(at + i % S.scales * scale_bytes);
        const int32_t* products = dots[i % (kAhead + 1)];
        for (size_t t = 0; t < kTileRows; ++t)
            acc[t] = V::fma(V::mul(scale, V::all(x_scales[t * blocks + b])),
                            V::to_float(_mm512_load_si512(products + t * kPanelRows)), acc[t]);
    }
    for (size_t t = 0; t < kTileRows; ++t) V::store(sums + t * kPanelRows, acc[t]);
}

/// Up to kChunkRows rows, a multiple of 16.
template <Shape4 S>
void multiply_tile_rows(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x,
                        size_t row, size_t rows, float* out, size_t out_stride, bool add) {
    const PackedFormat& format = matrix.format();
    const size_t block_bytes = format.block_bytes();
    alignas(64) int8_t spread_codes[kChunkBlocks * kBytesOfBlock];
    alignas(64) float sums[kChunkRows * kPanelRows] = {};
    Chunk chunk{matrix.panel(panel), 0, 0, {}};
    for (; chunk.first < x.blocks(); chunk.first += chunk.count) {
        chunk.panel = matrix.panel(panel) + chunk.first * block_bytes;
        chunk.count = std::min(kChunkBlocks, x.blocks() - chunk.first);
        for (size_t b = 0; b < chunk.count; ++b)
            chunk.codes[b] = spread<S>(chunk.panel + b * block_bytes, format.zero,
                                       spread_codes + b * kBytesOfBlock);
        for (size_t t = 0; t < rows; t += kTileRows)
            add_chunk<S>(format, chunk, x, row + t, sums + t * kPanelRows);
    }
    finish_rows<Avx512, S>(matrix, matrix.panel(panel), x, row, rows, sums, out, out_stride, add);
}

template <Shape4 S>
void multiply_tiles(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x, size_t begin,
                    size_t end, float* out, size_t out_stride, bool add) {
    const size_t whole = begin + (end - begin) / kTileRows * kTileRows;
    if (whole > begin) {
        // A library on this thread may have shapes of its own that it has set once and for all.
        alignas(64) std::byte others[64];
        _tile_storeconfig(others);
        _tile_loadconfig(&kShapes[S.scales - 1]);
        for (size_t row = begin; row < whole; row += kChunkRows)
            multiply_tile_rows<S>(matrix, panel, x, row, std::min(kChunkRows, whole - row),
                                  out + row * out_stride, out_stride, add);
        _tile_loadconfig(others);  // none are the state in which nothing is kept for a thread
    }
    multiply_shape<Avx512, S>(matrix, panel, x, whole, end, out, out_stride, add);
}

void multiply_quantized_amx(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x,
                            size_t begin, size_t end, float* out, size_t out_stride, bool add) {
    with_shape(matrix.format(), [&]<Shape4 S>() {
        multiply_tiles<S>(matrix, panel, x, begin, end, out, out_stride, add);
    });
}

}  // namespace

extern constinit const Kernels kAmxKernels = [] {
    Kernels kernels = make_kernels<Avx512>(Isa::Amx);
    kernels.multiply_quantized = multiply_quantized_amx;
    return kernels;
}();

}  // namespace dunlin

#endif
