#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"

namespace dunlin {
namespace {

std::unexpected<Error> fail_with_errno(const std::string& what, const std::string& path) {
    return fail(Code::Io, what + " " + path + ": " + std::strerror(errno));
}

}  // namespace

void MappedFile::Unmap::operator()(const std::byte* data) const {
    munmap(const_cast<std::byte*>(data), size);
}

Expected<MappedFile> MappedFile::open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_with_errno("cannot open", path);
    struct stat status{};
    const bool known = fstat(fd, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
        close(fd);
        return fail(Code::Io, "cannot open " + path + ": not a regular file");
    }
    MappedFile file;
    const auto size = static_cast<size_t>(status.st_size);
    if (size > 0) {
        void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            close(fd);
            return fail_with_errno("cannot map", path);
        }
        file.data_ = {static_cast<const std::byte*>(data), Unmap{size}};
    }
    close(fd);
    return file;
}

void MappedFile::release(std::span<const std::byte> range) const {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
    const auto end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace dunlin
