#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

namespace dunlin {

/// A file mapped for reading. The bytes stay valid for the object's life, as long as nobody cuts
/// the file short.
class MappedFile {
 public:
    /// Errors: Io, with the system's reason.
    static Expected<MappedFile> open(const std::string& path);

    std::span<const std::byte> bytes() const { return {data_.get(), data_.get_deleter().size}; }

    /// Whole pages inside `range` may leave memory until they are read again.
    void release(std::span<const std::byte> range) const;

 private:
    struct Unmap {
        size_t size;
        void operator()(const std::byte* data) const;
    };
    std::unique_ptr<const std::byte, Unmap> data_;
};

}  // namespace dunlin
