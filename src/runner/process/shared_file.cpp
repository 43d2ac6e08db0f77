#include "runner/process/shared_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/process/child.h"
#include "runner/process/protocol.h"

namespace dunlin::process {

SharedFile::SharedFile()
    : fd_(above_childs(memfd_create("dunlin", MFD_CLOEXEC | MFD_ALLOW_SEALING))) {
    usable_ = fd_ >= 0 && ftruncate(fd_, sizeof(Head)) == 0 &&
              fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}
SharedFile::~SharedFile() {
    if (fd_ >= 0) close(fd_);
}
size_t SharedFile::size() const {
    struct stat status{};
    return fstat(fd_, &status) == 0 ? static_cast<size_t>(status.st_size) : 0;
}

}  // namespace dunlin::process
