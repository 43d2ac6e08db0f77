#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

namespace dunlin {

/// The memory that this process may use: the machine's, or less where its container says so; 0
/// where the system does not tell.
uint64_t usable_memory_bytes();

/// How many threads can compute at the same time, at least 1: the machine's cores, each once
/// whatever threads it has (see cores.h), or less where the process may not use all of them or its
/// container has less processor time.
uint32_t usable_cores();

/// What the process uses; 0 where the system does not tell.
struct ProcessUse {
    uint64_t resident_bytes = 0, open_files = 0;
    double processor_s = 0;  // since its start, in user and kernel mode
};
ProcessUse process_use();

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
