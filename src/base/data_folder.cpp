#include "base/data_folder.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin {
namespace {

std::unexpected<Error> folder_failed(const std::string& path) {
    return fail(Code::Io, "the data folder " + path + " cannot be used: " + std::strerror(errno) +
                              "; choose another one with --data-dir (server.data_dir)");
}

/// Makes the folder and those above it that are missing.
bool make_folder(const std::string& path) {
    if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return true;
    const size_t slash = path.find_last_of('/');
    if (errno != ENOENT || slash == path.npos || slash == 0) return false;
    return make_folder(path.substr(0, slash)) &&
           (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST);
}

std::string holder(int lock) {
    char digits[16];
    const ssize_t got = pread(lock, digits, sizeof digits, 0);
    return got > 0 ? " (process " + std::string(digits, static_cast<size_t>(got)) + ")" : "";
}

}  // namespace

Expected<DataFolder> DataFolder::open(const std::string& path) {
    struct stat status{};
    if (!make_folder(path) || stat(path.c_str(), &status) != 0) return folder_failed(path);
    if (!S_ISDIR(status.st_mode)) {
        errno = ENOTDIR;
        return folder_failed(path);
    }
    const std::string name = path + "/lock";
    const int lock = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) return folder_failed(path);
    DataFolder folder(path, lock);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return folder_failed(path);
        return fail(Code::Conflict, "the data folder " + path + " is in use by another dunlin" +
                                        holder(lock) +
                                        "; stop that one, or choose another folder with --data-dir "
                                        "(server.data_dir)");
    }
    // For whoever finds it locked; the lock holds without it.
    const std::string number = std::to_string(getpid());
    if (ftruncate(lock, 0) != 0 ||
        pwrite(lock, number.data(), number.size(), 0) != std::ssize(number))
        return folder_failed(path);
    return folder;
}

DataFolder::~DataFolder() {
    if (lock_ >= 0) close(lock_);
}

}  // namespace dunlin
