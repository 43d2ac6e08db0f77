#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/pages.h"
#include "tensor/tensor_view.h"

namespace dunlin {

/// Rows in a panel, and elements of a row in a block, of a packed matrix.
inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kBlock = 32;

/// How the numbers of a packed matrix are stored. Every quantized file format maps onto one of a
/// few code widths; nothing is rounded on the way.
struct PackedFormat {
    enum class Codes : uint8_t {
        U4,    // unsigned, two in a byte
        S8,    // signed bytes
        F32,   // plain numbers, no blocks
        F16,   // halves, likewise
        BF16,  // the upper halves of floats, in pairs of columns
    } codes = Codes::F32;
    bool wide_scales = false;  // scales and mins as f32 instead of f16
    bool has_min = false;      // value = scale * code + min
    uint8_t scales = 1;        // in a block: 1, or 2 for 16 elements each
    uint8_t zero = 0;          // value = scale * (code - zero)

    bool operator==(const PackedFormat&) const = default;
    bool quantized() const { return codes == Codes::U4 || codes == Codes::S8; }
    /// Bytes of a plain number.
    size_t number_bytes() const { return codes == Codes::F32 ? 4 : 2; }
    size_t scale_bytes() const { return kPanelRows * (wide_scales ? 4 : 2); }
    size_t code_bytes() const { return codes == Codes::U4 ? 256 : 512; }
    /// One block of one panel: 32 elements of 16 rows.
    size_t block_bytes() const {
        return code_bytes() + scale_bytes() * (scales + (has_min ? 1U : 0U));
    }
};

/// A weight matrix laid out for the kernels: panels of 16 rows, each a single stream in the order
/// in which a multiplication reads it.
///
/// Quantized: for every 32 columns one block: codes, then scales[16] (twice where there are two),
/// then mins[16]. Codes stand in 8 groups of 4 columns, each group 16 rows x 4 bytes, so that one
/// 32-bit piece of the activations meets 16 rows at once. U4 keeps group g in the low and group
/// g + 4 in the high nibbles of the same 64 bytes.
/// F32 and F16: for every column 16 numbers, as wide as in the file; kernels widen them.
/// BF16: for every two columns 16 words, the even column in the lower half of each; an odd number
/// of columns has one of zeros behind it. Numbers below kLeastBfloat (bfloat_rows.h) are zeros.
/// Rows beyond the matrix are zeros.
///
/// Its panels stand in as many parts as workers multiply with it, and the parts that one worker
/// reads of all matrices of a model one behind the other, in the order in which it reads them: a
/// stream that neither another worker nor the end of a matrix interrupts, which is what processors
/// are good at asking memory for ahead. Immutable once packed. [any thread]
class PackedMatrix {
 public:
    PackedMatrix() = default;

    /// Room for the tensor: a part of its panels in each of the streams, or all in memory of its
    /// own. Then several threads may pack() disjoint panels of it. Errors: Unsupported (a type with
    /// no kernel), OutOfMemory.
    static Expected<PackedMatrix> allocate(const TensorView& tensor,
                                           std::span<PageArena> streams = {});
    void pack(const TensorView& tensor, size_t panel_begin, size_t panel_end);

    size_t rows() const { return rows_; }
    size_t columns() const { return columns_; }
    size_t panels() const { return (rows_ + kPanelRows - 1) / kPanelRows; }
    const PackedFormat& format() const { return format_; }
    size_t panel_bytes() const { return panel_bytes_; }
    size_t bytes() const { return panels() * panel_bytes_; }
    const std::byte* panel(size_t index) const { return place(index); }

    /// Panels [begin, end) that stand in stream `index`; an even number, but for the last.
    struct Part {
        size_t begin, end;
        size_t panels() const { return end - begin; }
    };
    size_t parts() const { return parts_.size(); }
    Part part(size_t index) const {
        return {std::min(index * part_panels_, panels()),
                std::min((index + 1) * part_panels_, panels())};
    }

    /// One row as numbers, equal to what dequantizing the file gives, but for BF16 that are too
    /// small. `out` has columns() elements.
    void unpack_row(size_t row, std::span<float> out) const;

 private:
    std::byte* place(size_t panel) const {
        return parts_[panel / part_panels_].get() + panel % part_panels_ * panel_bytes_;
    }

    PackedFormat format_;
    size_t rows_ = 0, columns_ = 0, panel_bytes_ = 0, part_panels_ = 0;
    std::vector<std::shared_ptr<std::byte>> parts_;
};

}  // namespace dunlin
