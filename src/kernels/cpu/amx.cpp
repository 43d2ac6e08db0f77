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

using V = Avx512Bf16;  // all processors with tiles have it

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
/// takes some fifty cycles and its way through memory as long, so while one piece is added up the
/// next but one is stored and the one after that multiplied.
constexpr int kSums = 0, kX = 4, kW = 6;
constexpr int kAtOnce = 4;

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
constexpr TileShapes kShapes = shapes_for(false), kShapesOfHalves = shapes_for(true);

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

/// The products of 16 rows with a panel's 16: [slot][row][panel row].
using Products = int32_t[kAtOnce][kTileRows * kPanelRows];

/// Adds a chunk to 16 rows' sums, piece by piece; kScales of them make a block.
template <Shape4 S>
class ChunkSum {
    static constexpr auto kScales = static_cast<size_t>(S.scales);

 public:
    ChunkSum(const PackedFormat& format, const Chunk& chunk, const QuantizedRows& x, size_t row)
        : chunk_codes_(chunk.codes),
          pieces_(chunk.count * kScales),
          row_stride_(x.row_stride),
          block_bytes_(format.block_bytes()),
          scale_bytes_(format.scale_bytes()),
          codes_(x.codes + x.code_at(row, chunk.first)),
          scales_(chunk.panel + format.code_bytes()),
          x_scales_(x.scales + chunk.first * x.row_stride + row),
          x_offsets_(x.offsets + chunk.first * x.row_stride + row) {}

    void add_to(float* sums) const {
        alignas(64) Products products;
        V::F acc[kTileRows];
        for (size_t t = 0; t < kTileRows; ++t) acc[t] = V::load(sums + t * kPanelRows);
        multiply<0>(0);
        multiply<1>(1);
        multiply<2>(2);
        store<0>(0, products);
        store<1>(1, products);
        for (size_t piece = 0; piece < pieces_; piece += kAtOnce) {
            step<0>(piece, products, acc);
            step<1>(piece + 1, products, acc);
            step<2>(piece + 2, products, acc);
            step<3>(piece + 3, products, acc);
        }
        for (size_t t = 0; t < kTileRows; ++t) V::store(sums + t * kPanelRows, acc[t]);
    }

 private:
    template <int Slot>
    void multiply(size_t piece) const {
        if (piece >= pieces_) return;
        constexpr size_t kColumns = kBlock / kScales;
        const size_t block = piece / kScales, part = piece % kScales;
        _tile_zero(kSums + Slot);
        _tile_loadd(kX + Slot % 2, codes_ + block * kTileRows * kBlock + part * kColumns, kBlock);
        _tile_loadd(kW + Slot % 2, chunk_codes_[block] + part * kColumns * kPanelRows,
                    4 * kPanelRows);
        _tile_dpbssd(kSums + Slot, kX + Slot % 2, kW + Slot % 2);
    }

    template <int Slot>
    void store(size_t piece, Products& products) const {
        if (piece < pieces_) _tile_stored(kSums + Slot, products[Slot], 4 * kPanelRows);
    }

    template <int Slot>
    void step(size_t piece, Products& products, V::F (&acc)[kTileRows]) const {
        if (piece >= pieces_) return;
        multiply<(Slot + 3) % kAtOnce>(piece + 3);
        store<(Slot + 2) % kAtOnce>(piece + 2, products);
        const size_t block = piece / kScales, part = piece % kScales;
        const std::byte* scales = scales_ + block * block_bytes_;
        if (S.has_min && part == 0) {
            const auto min = load_scale<V, S.wide>(scales + kScales * scale_bytes_);
            for (size_t t = 0; t < kTileRows; ++t)
                acc[t] = V::fma(min, V::all(x_offsets_[block * row_stride_ + t]), acc[t]);
        }
        const auto scale = load_scale<V, S.wide>(scales + part * scale_bytes_);
        for (size_t t = 0; t < kTileRows; ++t)
            acc[t] =
                V::fma(V::mul(scale, V::all(x_scales_[block * row_stride_ + t])),
                       V::to_float(_mm512_load_si512(products[Slot] + t * kPanelRows)), acc[t]);
    }

    const int8_t* const* chunk_codes_;
    size_t pieces_, row_stride_, block_bytes_, scale_bytes_;
    const int8_t* codes_;
    const std::byte* scales_;
    const float *x_scales_, *x_offsets_;
};

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
            ChunkSum<S>(format, chunk, x, row + t).add_to(sums + t * kPanelRows);
    }
    finish_rows<V, S>(matrix, matrix.panel(panel), x, row, rows, sums, out, out_stride, add);
}

template <Shape4 S>
void multiply_tiles(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x, size_t begin,
                    size_t end, float* out, size_t out_stride, bool add) {
    // Whole tiles of rows; what is before or behind goes to the other kernel.
    const size_t first = std::min(round_up(begin, kTileRows), end);
    const size_t whole = first + (end - first) / kTileRows * kTileRows;
    multiply_shape<V, S>(matrix, panel, x, begin, first, out, out_stride, add);
    if (S.scales == 2 && whole > first) _tile_loadconfig(&kShapesOfHalves);
    for (size_t row = first; row < whole; row += kChunkRows)
        multiply_tile_rows<S>(matrix, panel, x, row, std::min(kChunkRows, whole - row),
                              out + row * out_stride, out_stride, add);
    if (S.scales == 2 && whole > first) _tile_loadconfig(&kShapes);
    multiply_shape<V, S>(matrix, panel, x, whole, end, out, out_stride, add);
}

void multiply_quantized_amx(const PackedMatrix& matrix, size_t panel, const QuantizedRows& x,
                            size_t begin, size_t end, float* out, size_t out_stride, bool add) {
    with_shape(matrix.format(), [&]<Shape4 S>() {
        multiply_tiles<S>(matrix, panel, x, begin, end, out, out_stride, add);
    });
}

/// A library on this thread may have shapes of its own that it has set once and for all. Setting
/// them takes as long as multiplying a few blocks.
void enter_amx(ThreadState& before) {
    static_assert(sizeof(ThreadState) == sizeof(TileShapes));
    _tile_storeconfig(&before);
    _tile_loadconfig(&kShapes);
}

/// None are the state in which nothing is kept for a thread.
void leave_amx(const ThreadState& before) {
    _tile_loadconfig(&before);
}

}  // namespace

extern constinit const Kernels kAmxKernels = [] {
    Kernels kernels = make_kernels<V>(Isa::Amx);
    kernels.enter = enter_amx;
    kernels.leave = leave_amx;
    kernels.multiply_quantized = multiply_quantized_amx;
    return kernels;
}();

}  // namespace dunlin

#endif
