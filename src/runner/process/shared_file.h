#pragma once

#include <cstddef>

namespace dunlin::process {

/// An anonymous file for the memory that a parent and a child share, with room for a Head. It
/// cannot shrink, so that nobody reads behind its end.
class SharedFile {
 public:
    SharedFile();
    ~SharedFile();
    SharedFile(const SharedFile&) = delete;
    SharedFile& operator=(const SharedFile&) = delete;

    int fd() const { return fd_; }
    bool usable() const { return usable_; }  // false: errno of the constructor says why
    size_t size() const;

 private:
    const int fd_;
    bool usable_ = false;
};

}  // namespace dunlin::process
