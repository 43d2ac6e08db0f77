#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dunlin {

/// How the elements of a tensor are stored: plain numbers, or blocks that share scales.
enum class DType : uint8_t {
#define BLOCK_FORMAT(name, ...) name,
#include "tensor/block_formats.def"
#undef BLOCK_FORMAT
};

struct BlockFormat {
    DType dtype;
    std::string_view name;    // "Q4_1"
    uint32_t gguf_id;         // the number in GGUF files
    uint32_t block_elements;  // consecutive elements of a row that form one block
    uint32_t block_bytes;
    bool computed;  // our own kernels can multiply by it
};

/// The row of the table for `dtype`.
const BlockFormat& block_format(DType dtype);

/// The type with that GGUF number, or nothing for one this build has never heard of.
std::optional<DType> dtype_from_gguf(uint32_t id);

inline std::string_view to_string(DType dtype) {
    return block_format(dtype).name;
}

}  // namespace dunlin
