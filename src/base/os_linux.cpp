#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cores.h"
#include "base/last_words.h"
#include "base/os.h"

namespace dunlin {
namespace {

std::unexpected<Error> fail_with_errno(const std::string& what, const std::string& path) {
    return fail(Code::Io, what + " " + path + ": " + std::strerror(errno));
}

}  // namespace

uint64_t usable_memory_bytes() {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const uint64_t machine =
        pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
    const uint64_t limit = read_cgroup_limits().memory_bytes;
    return limit == 0 ? machine : std::min(machine, limit);
}

uint32_t usable_cores() {
    cpu_set_t set;
    const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    std::vector<uint32_t> processors;
    const auto all = static_cast<uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    for (uint32_t i = 0; i < (known ? uint32_t{CPU_SETSIZE} : all); ++i)
        if (!known || CPU_ISSET(i, &set)) processors.push_back(i);
    const auto cores = static_cast<double>(count_cores(processors));
    const double limit = read_cgroup_limits().cores;
    // Rounded down: a thread that waits for its share of time holds up all others.
    return static_cast<uint32_t>(std::max(1.0, limit == 0 ? cores : std::min(cores, limit)));
}

ProcessUse process_use() {
    ProcessUse out;
    uint64_t pages = 0;
    std::ifstream statm("/proc/self/statm");  // "total resident ..."
    if (statm >> pages >> pages)
        out.resident_bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    std::error_code failed;
    for (std::filesystem::directory_iterator file("/proc/self/fd", failed), end;
         !failed && file != end; file.increment(failed))
        ++out.open_files;
    rusage use{};
    if (getrusage(RUSAGE_SELF, &use) == 0)
        for (const timeval& time : {use.ru_utime, use.ru_stime})
            out.processor_s +=
                static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    return out;
}

// Reading a mapped page that the file no longer has raises SIGBUS. The handler looks the address up
// among the mappings below and puts a page of zeros there, so that the read goes on; every other
// SIGBUS takes its old course, after its reason is left behind: it is a library's own map. The
// handler may only use what is safe in one: lock-free atomics and mmap, a bare system call on
// Linux.
namespace {

struct Mapping {
    std::atomic<uintptr_t> begin{0}, end{0};  // begin is 0: the place is free; 1: being filled
};
constexpr size_t kMappingsMax = 64;
Mapping mappings[kMappingsMax];
struct sigaction old_action;

void give_zeros(int signal, siginfo_t* info, void* context) {
    const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    for (const Mapping& one : mappings) {
        const uintptr_t begin = one.begin.load(std::memory_order_acquire);
        if (begin <= 1 || at < begin || at >= one.end.load(std::memory_order_relaxed)) continue;
        void* const place = reinterpret_cast<void*>(at / page * page);
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        if (mmap(place, page, PROT_READ, flags, -1, 0) == place) return;
    }
    if (info->si_code == BUS_ADRERR)
        say_last_words("a file that it had mapped into memory was cut short");
    if ((old_action.sa_flags & SA_SIGINFO) != 0)
        return old_action.sa_sigaction(signal, info, context);
    sigaction(SIGBUS, &old_action, nullptr);
    raise(SIGBUS);  // arrives when this handler returns
}

void install_handler() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action{};
        action.sa_sigaction = give_zeros;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGBUS, &action, &old_action);
    });
}

bool guard(uintptr_t begin, size_t size) {
    install_handler();
    for (Mapping& one : mappings) {
        uintptr_t free = 0;
        if (!one.begin.compare_exchange_strong(free, 1)) continue;
        one.end.store(begin + size, std::memory_order_relaxed);
        one.begin.store(begin, std::memory_order_release);
        return true;
    }
    return false;
}

int64_t changed_ns(const struct stat& status) {
    return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

void MappedFile::Unmap::operator()(const std::byte* data) const {
    for (Mapping& one : mappings) {
        auto begin = reinterpret_cast<uintptr_t>(data);
        if (one.begin.compare_exchange_strong(begin, 1)) {
            munmap(const_cast<std::byte*>(data), size);
            one.begin.store(0, std::memory_order_release);
        }
    }
    close(fd);
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
    if (size == 0) {
        close(fd);
        return file;
    }
    void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        auto failed = fail_with_errno("cannot map", path);
        close(fd);
        return failed;
    }
    if (!guard(reinterpret_cast<uintptr_t>(data), size)) {
        munmap(data, size);
        close(fd);
        return fail(Code::NoRoom, "cannot map " + path + ": too many files are mapped");
    }
    file.data_ = {static_cast<const std::byte*>(data), Unmap{size, fd, changed_ns(status)}};
    return file;
}

Expected<void> MappedFile::check_unchanged() const {
    const Unmap& map = data_.get_deleter();
    struct stat status{};
    if (data_ && (fstat(map.fd, &status) != 0 || static_cast<size_t>(status.st_size) != map.size ||
                  changed_ns(status) != map.changed_ns))
        return fail(Code::Corrupt,
                    "the file changed while it was read; put it there under another "
                    "name first and rename it when it is whole");
    return {};
}

void MappedFile::release(std::span<const std::byte> range) const {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
    const auto end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace dunlin
