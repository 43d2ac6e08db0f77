#include "kernels/packed_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/line_vector.h"
#include "kernels/bfloat_rows.h"
#include "kernels/block_codes.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

void write_scale(std::byte* at, size_t lane, bool wide, float value) {
    if (wide) {
        std::memcpy(at + 4 * lane, &value, 4);
    } else {
        const uint16_t bits = float_to_half(value);  // came from a half: exact
        std::memcpy(at + 2 * lane, &bits, 2);
    }
}

float read_scale(const std::byte* at, size_t lane, bool wide) {
    if (wide) {
        float value = 0;
        std::memcpy(&value, at + 4 * lane, 4);
        return value;
    }
    uint16_t bits = 0;
    std::memcpy(&bits, at + 2 * lane, 2);
    return half_to_float(bits);
}

/// Where element `k` of `lane` stands among a block's codes, in nibbles for U4, in bytes for S8.
struct CodePlace {
    size_t byte;
    unsigned shift;
};
CodePlace place_of(PackedFormat::Codes codes, size_t k, size_t lane) {
    const size_t group = k / 4;
    if (codes == PackedFormat::Codes::U4)
        return {group % 4 * 64 + 4 * lane + k % 4, group < 4 ? 0U : 4U};
    return {group * 64 + 4 * lane + k % 4, 0U};
}

/// The same for all, four codes at a time: these stand together in both formats.
void write_block(const PackedFormat& format, const BlockCodes& in, size_t lane, std::byte* block) {
    constexpr size_t kGroups = kBlock / 4, kGroupBytes = 4 * kPanelRows;
    uint32_t groups[kGroups];
    std::memcpy(groups, in.codes, kBlock);
    std::byte* to = block + 4 * lane;
    if (format.codes == PackedFormat::Codes::U4) {
        for (size_t g = 0; g < kGroups / 2; ++g) {
            const uint32_t both = groups[g] | groups[g + kGroups / 2] << 4;
            std::memcpy(to + g * kGroupBytes, &both, 4);
        }
    } else {
        for (size_t g = 0; g < kGroups; ++g) std::memcpy(to + g * kGroupBytes, &groups[g], 4);
    }
    std::byte* scales = block + format.code_bytes();
    for (size_t s = 0; s < format.scales; ++s, scales += format.scale_bytes())
        write_scale(scales, lane, format.wide_scales, in.scale[s]);
    if (format.has_min) write_scale(scales, lane, format.wide_scales, in.min);
}

/// Where the number of column `c` stands in a panel of plain ones.
size_t plain_place(const PackedFormat& format, size_t c, size_t lane) {
    if (format.codes == PackedFormat::Codes::BF16)
        return c / 2 * kPanelRows * 4 + lane * 4 + c % 2 * 2;
    return (c * kPanelRows + lane) * format.number_bytes();
}

void write_bfloats(const std::byte* row, size_t columns, size_t lane, std::byte* panel) {
    for (size_t c = 0; c < columns; c += 2) {
        uint16_t pair[2] = {};
        std::memcpy(pair, row + 2 * c, c + 1 < columns ? 4 : 2);
        for (uint16_t& number : pair)
            if (std::fabs(bfloat_to_float(number)) < kLeastBfloat) number = 0;
        std::memcpy(panel + (c / 2 * kPanelRows + lane) * 4, pair, 4);
    }
}

float plain_number(PackedFormat::Codes codes, const std::byte* at) {
    if (codes == PackedFormat::Codes::F32) {
        float value = 0;
        std::memcpy(&value, at, 4);
        return value;
    }
    uint16_t bits = 0;
    std::memcpy(&bits, at, 2);
    return codes == PackedFormat::Codes::F16 ? half_to_float(bits) : bfloat_to_float(bits);
}

Expected<std::shared_ptr<std::byte>> take_from_heap(size_t bytes) {
    const size_t size = round_up(std::max(bytes, size_t{1}), kCacheLineBytes);
    auto* data = static_cast<std::byte*>(std::aligned_alloc(kCacheLineBytes, size));
    if (data == nullptr) return fail(Code::OutOfMemory, "");
    return std::shared_ptr<std::byte>(data, [](std::byte* p) { std::free(p); });
}

}  // namespace

Expected<PackedMatrix> PackedMatrix::allocate(const TensorView& tensor,
                                              std::span<PageArena> streams) {
    if (!block_format(tensor.dtype).computed)
        return fail(Code::Unsupported, "the native engine has no kernel for weights of type " +
                                           std::string(to_string(tensor.dtype)));
    PackedMatrix matrix;
    matrix.format_ = packed_format(tensor.dtype);
    matrix.rows_ = tensor.shape.rows();
    matrix.columns_ = tensor.shape.columns();
    if (matrix.format_.quantized())
        matrix.panel_bytes_ = matrix.columns_ / kBlock * matrix.format_.block_bytes();
    else if (matrix.format_.codes == PackedFormat::Codes::BF16)
        matrix.panel_bytes_ = (matrix.columns_ + 1) / 2 * kPanelRows * 4;
    else
        matrix.panel_bytes_ = matrix.columns_ * kPanelRows * matrix.format_.number_bytes();
    const auto bytes = checked_mul(matrix.panels(), matrix.panel_bytes_);
    if (!bytes) return fail(Code::OutOfMemory, "a weight matrix is larger than memory can be");
    const size_t parts = std::max(streams.size(), size_t{1});
    matrix.part_panels_ = round_up((matrix.panels() + parts - 1) / parts, size_t{2});
    for (size_t i = 0; i < parts; ++i) {
        const size_t size = matrix.part(i).panels() * matrix.panel_bytes_;
        auto part = streams.empty() ? take_from_heap(size) : streams[i].take(size);
        if (!part)
            return fail(Code::OutOfMemory,
                        "no memory for " + std::to_string(*bytes) + " bytes of weights");
        matrix.parts_.push_back(std::move(*part));
    }
    return matrix;
}

void PackedMatrix::pack(const TensorView& tensor, size_t panel_begin, size_t panel_end) {
    CHECK(panel_end <= panels() && tensor.shape.rows() == rows_);
    for (size_t index = panel_begin; index < panel_end; ++index) {
        std::byte* panel = place(index);
        const size_t lanes = std::min(kPanelRows, rows_ - index * kPanelRows);
        if (lanes < kPanelRows) std::memset(panel, 0, panel_bytes_);
        for (size_t lane = 0; lane < lanes; ++lane) {
            const std::byte* row = tensor.row(index * kPanelRows + lane).data();
            if (format_.quantized()) {
                BlockCodes codes;
                for (size_t b = 0; b < columns_ / kBlock; ++b) {
                    read_block_codes(tensor.dtype, row, b, codes);
                    write_block(format_, codes, lane, panel + b * format_.block_bytes());
                }
            } else if (format_.codes == PackedFormat::Codes::BF16) {
                write_bfloats(row, columns_, lane, panel);
            } else {
                const size_t bytes = format_.number_bytes();
                for (size_t c = 0; c < columns_; ++c)
                    std::memcpy(panel + plain_place(format_, c, lane), row + c * bytes, bytes);
            }
        }
    }
}

void PackedMatrix::unpack_row(size_t row, std::span<float> out) const {
    CHECK(row < rows_ && out.size() == columns_);
    const std::byte* at = panel(row / kPanelRows);
    const size_t lane = row % kPanelRows;
    if (!format_.quantized()) {
        for (size_t c = 0; c < columns_; ++c)
            out[c] = plain_number(format_.codes, at + plain_place(format_, c, lane));
        return;
    }
    for (size_t b = 0; b < columns_ / kBlock; ++b, at += format_.block_bytes()) {
        const auto* codes = reinterpret_cast<const uint8_t*>(at);
        const std::byte* scales = at + format_.code_bytes();
        const std::byte* mins = scales + format_.scales * format_.scale_bytes();
        const float min = format_.has_min ? read_scale(mins, lane, format_.wide_scales) : 0.0F;
        for (size_t k = 0; k < kBlock; ++k) {
            const auto [byte, shift] = place_of(format_.codes, k, lane);
            const int code = format_.codes == PackedFormat::Codes::U4
                                 ? codes[byte] >> shift & 15
                                 : static_cast<int8_t>(codes[byte]);
            const size_t s = format_.scales == 2 ? k / 16 : 0;
            const float scale =
                read_scale(scales + s * format_.scale_bytes(), lane, format_.wide_scales);
            out[b * kBlock + k] = scale * static_cast<float>(code - format_.zero) + min;
        }
    }
}

}  // namespace dunlin
