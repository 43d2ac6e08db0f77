#include "base/files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin {
namespace {

class Descriptor {
 public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() { close(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }
    bool close() { return fd_ < 0 || ::close(std::exchange(fd_, -1)) == 0; }

 private:
    int fd_;
};

std::unexpected<Error> cannot(const char* what, const std::string& path) {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    return fail(full ? Code::DiskFull : Code::Io,
                std::string("cannot ") + what + " " + path + ": " + std::strerror(errno));
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

std::string aside(const std::string& path) {
    return path + ".tmp";
}

}  // namespace

Expected<std::optional<std::string>> read_file(const std::string& path, size_t bytes_max) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 && errno == ENOENT) return std::nullopt;
    struct stat status{};
    if (file.get() < 0 || fstat(file.get(), &status) != 0) return cannot("open", path);
    if (!S_ISREG(status.st_mode)) return fail(Code::Io, path + " is not a plain file");
    std::string out;
    char part[65536];
    while (true) {
        const ssize_t got = read(file.get(), part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot("read", path);
        if (got == 0) return out;
        out.append(part, static_cast<size_t>(got));
        if (out.size() > bytes_max)
            return fail(Code::TooLarge, path + " has more than " + std::to_string(bytes_max) +
                                            " bytes, which are the limit");
    }
}

Expected<void> write_aside(const std::string& path, std::string_view text) {
    const std::string name = aside(path);
    Descriptor file(
        open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return cannot("create", name);
    if (!write_all(file.get(), text) || fsync(file.get()) != 0 || !file.close())
        return cannot("write", name);
    return {};
}

Expected<void> put_in_place(const std::string& path) {
    if (std::rename(aside(path).c_str(), path.c_str()) != 0) return cannot("replace", path);
    const size_t slash = path.rfind('/');
    const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
    const Descriptor directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() < 0 || fsync(directory.get()) != 0) return cannot("store", folder);
    return {};
}

}  // namespace dunlin
