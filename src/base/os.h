#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

namespace dunlin {

/// The machine's memory; 0 where the system does not tell.
uint64_t physical_memory_bytes();

/// A file mapped for reading. The bytes stay readable for the object's life, whatever happens to
/// the file: where it was cut short, what is gone reads as zero in place of ending the process by
/// SIGBUS. So whoever has read from it asks check_unchanged() before trusting what was read.
class MappedFile {
 public:
    /// Errors: Io, with the system's reason; NoRoom above 64 open files.
    static Expected<MappedFile> open(const std::string& path);

    std::span<const std::byte> bytes() const { return {data_.get(), data_.get_deleter().size}; }

    /// Errors: Corrupt where the file has another size or time of change than when it was opened.
    Expected<void> check_unchanged() const;

    /// Whole pages inside `range` may leave memory until they are read again.
    void release(std::span<const std::byte> range) const;

 private:
    struct Unmap {
        size_t size;
        int fd;
        int64_t changed_ns;
        void operator()(const std::byte* data) const;
    };
    std::unique_ptr<const std::byte, Unmap> data_;
};

}  // namespace dunlin
