#include "tensor/dtype.h"

#include <array>

namespace dunlin {
namespace {

constexpr std::array kFormats = {
#define BLOCK_FORMAT(name, text, id, elements, bytes, computed) \
    BlockFormat{DType::name, text, id, elements, bytes, computed},
#include "tensor/block_formats.def"
#undef BLOCK_FORMAT
};

}  // namespace

const BlockFormat& block_format(DType dtype) {
    return kFormats[static_cast<size_t>(dtype)];
}

std::optional<DType> dtype_from_gguf(uint32_t id) {
    for (const BlockFormat& format : kFormats)
        if (format.gguf_id == id) return format.dtype;
    return std::nullopt;
}

}  // namespace dunlin
