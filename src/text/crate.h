#pragma once

// Between the C header of the Rust crate and the rest of this folder.

#include <string>
#include <string_view>

#include "base/error.h"
#include "dunlin_text.h"

namespace dunlin {

inline dt_view to_view(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view from_view(dt_view view) {
    return {reinterpret_cast<const char*>(view.data), view.size};
}

/// Owns what the crate writes.
struct CrateBuffer {
    CrateBuffer() = default;
    CrateBuffer(const CrateBuffer&) = delete;
    CrateBuffer& operator=(const CrateBuffer&) = delete;
    ~CrateBuffer() { dt_buffer_free(&raw); }
    std::string_view text() const { return {reinterpret_cast<const char*>(raw.data), raw.size}; }
    dt_buffer raw{};
};

inline std::unexpected<Error> crate_failure(int code, const CrateBuffer& message) {
    const Code kind = code == DT_INVALID       ? Code::Invalid
                      : code == DT_TOO_LARGE   ? Code::TooLarge
                      : code == DT_UNSUPPORTED ? Code::Unsupported
                                               : Code::Internal;
    return fail(kind, std::string(message.text()));
}

}  // namespace dunlin
