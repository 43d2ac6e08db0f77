// Intel's tiles (AMX, INT8): one instruction multiplies 16 rows of activations with the 16 rows of
// a panel over one block and adds up in integers, which is what eight byte products and additions
// do for each of them in simd_avx512.h. The integers are the same, what follows them is the same
// code in the same order, and so are the bits.
//
// The panel's codes for kChunkBlocks blocks are spread out to signed bytes once for kChunkRows rows
// of activations; 16 rows at a time then pass over the chunk with their sums in registers. What is
// left of the rows goes to the other kernel.

#include "kernels/isa.h"

#if DUNLIN_AMX

#include <algorithm>

#include "base/checked.h"
#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_avx512.h"

namespace dunlin {
namespace {

constexpr size_t kChunkRows = kRowsAtOnce, kChunkBlocks = 32;
constexpr size_t kBytesOfBlock = kBlock * kPanelRows;

/// Intel's layout of a tile configuration (SDM volume 1, 18.2).
struct alignas(64) TileShapes {
    uint8_t palette = 1, first_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

/// Tiles by number: the sums of kAtOnce pieces, then activations and weights, twice. A product
/// takes some fifty cycles and its way through memory as long, so several are under way before the
/// first is stored, and those of one group while the group before is added up.
constexpr int kSums = 0, kX = 4, kW = 6;
constexpr size_t kAtOnce = 4;

/// Of a whole block, or of half of one where a block has two scales.
constexpr TileShapes shapes_for(bool half) {
    TileShapes shapes;
    const auto set = [&](int tile, int count, size_t rows, size_t row_bytes) {
        for (int i = tile; i < tile + count; ++i) {
            shapes.rows[i] = static_cast<uint8_t>(rows);
            shapes.row_bytes[i] = static_cast<uint16_t>(row_bytes);
        }
    };
    const size_t columns = half ? kBlock / 2 : kBlock;
    set(kSums, kAtOnce, kTileRows, 4 * kPanelRows);
    set(kX, 2, kTileRows, columns);
    set(kW, 2, columns / 4, 4 * kPanelRows);
    return shapes;
}
constexpr TileShapes kShapes[] = {shapes_for(false), shapes_for(true)};

/// The products of 16 rows with a panel's 16: [piece][row][panel row].
using Products = int32_t[kAtOnce][kTileRows * kPanelRows];

template <int Piece>
void multiply_piece(const int8_t* codes, const int8_t* weights) {
    _tile_zero(kSums + Piece);
    _tile_loadd(kX + Piece % 2, codes, kBlock);
    _tile_loadd(kW + Piece % 2, weights, 4 * kPanelRows);
    _tile_dpbssd(kSums + Piece, kX + Piece % 2, kW + Piece % 2);
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

/// Multiplies pieces [first, end) of a chunk, at most kAtOnce; Scales of them make a block.
template <size_t Scales>
void multiply_pieces(const Chunk& chunk, const int8_t* codes, size_t first, size_t end,
                     Products& products) {
    constexpr size_t kColumns = kBlock / Scales;
    const auto multiply = [&]<int Piece>() {
        const size_t block = (first + Piece) / Scales, part = (first + Piece) % Scales;
        multiply_piece<Piece>(codes + block * kTileRows * kBlock + part * kColumns,
                              chunk.codes[block] + part * kColumns * kPanelRows);
    };
    const size_t count = end - first;
    multiply.template operator()<0>();
    if (count > 1) multiply.template operator()<1>();
    if (count > 2) multiply.template operator()<2>();
    if (count > 3) multiply.template operator()<3>();
    _tile_stored(kSums, products[0], 4 * kPanelRows);
    if (count > 1) _tile_stored(kSums + 1, products[1], 4 * kPanelRows);
    if (count > 2) _tile_stored(kSums + 2, products[2], 4 * kPanelRows);
    if (count > 3) _tile_stored(kSums + 3, products[3], 4 * kPanelRows);
}

/// Adds a chunk to 16 rows' sums.
template <Shape4 S>
void add_chunk(const PackedFormat& format, const Chunk& chunk, const QuantizedRows& x, size_t row,
               float* sums) {
    using V = Avx512;
    constexpr auto kScales = static_cast<size_t>(S.scales);
    const std::byte* scales = chunk.panel + format.code_bytes();
    const float* x_scales = x.scales + chunk.first * x.row_stride + row;
    const float* x_offsets = x.offsets + chunk.first * x.row_stride + row;
    const int8_t* codes = x.codes + x.code_at(row, chunk.first);
    const size_t pieces = chunk.count * kScales;
    const auto group_end = [&](size_t first) { return std::min(first + kAtOnce, pieces); };
    alignas(64) Products products[2];
    multiply_pieces<kScales>(chunk, codes, 0, group_end(0), products[0]);
    V::F acc[kTileRows];
    for (size_t t = 0; t < kTileRows; ++t) acc[t] = V::load(sums + t * kPanelRows);
    for (size_t first = 0; first < pieces; first += kAtOnce) {
        const size_t end = group_end(first);
        if (end < pieces)
            multiply_pieces<kScales>(chunk, codes, end, group_end(end),
                                     products[end / kAtOnce % 2]);
        for (size_t piece = first; piece < end; ++piece) {
            const size_t b = piece / kScales;
            const std::byte* at = scales + b * format.block_bytes();
            if (S.has_min && piece % kScales == 0) {
                const auto min = load_scale<V, S.wide>(at + kScales * format.scale_bytes());
                for (size_t t = 0; t < kTileRows; ++t)
                    acc[t] = V::fma(min, V::all(x_offsets[b * x.row_stride + t]), acc[t]);
            }
            const auto scale = load_scale<V, S.wide>(at + piece % kScales * format.scale_bytes());
            const int32_t* dots = products[first / kAtOnce % 2][piece - first];
            for (size_t t = 0; t < kTileRows; ++t)
                acc[t] = V::fma(V::mul(scale, V::all(x_scales[b * x.row_stride + t])),
                                V::to_float(_mm512_load_si512(dots + t * kPanelRows)), acc[t]);
        }
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
    // Whole tiles of rows; what is before or behind goes to the other kernel.
    const size_t first = std::min(round_up(begin, kTileRows), end);
    const size_t whole = first + (end - first) / kTileRows * kTileRows;
    multiply_shape<Avx512, S>(matrix, panel, x, begin, first, out, out_stride, add);
    if (whole > first) {
        // A library on this thread may have shapes of its own that it has set once and for all.
        alignas(64) std::byte others[64];
        _tile_storeconfig(others);
        _tile_loadconfig(&kShapes[S.scales - 1]);
        for (size_t row = first; row < whole; row += kChunkRows)
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
