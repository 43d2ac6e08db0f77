#pragma once

#include <string>
#include <utility>

#include "base/error.h"

namespace dunlin {

/// The folder where the program keeps its data, held by one process at a time: two that write the
/// same files would lose each other's changes.
class DataFolder {
 public:
    /// Makes the folder where there is none, for its user only (0700), and takes its lock, which
    /// the system gives back when the process ends, however it ends. Errors: Io; Conflict where
    /// another process holds it, with that one's number.
    static Expected<DataFolder> open(const std::string& path);
    ~DataFolder();
    DataFolder(DataFolder&& other) noexcept
        : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}
    DataFolder& operator=(DataFolder&&) = delete;

    const std::string& path() const { return path_; }

 private:
    DataFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
    std::string path_;
    int lock_;
};

}  // namespace dunlin
