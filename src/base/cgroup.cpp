#include "base/cgroup.h"

#include <fstream>

namespace dunlin {
namespace {

/// "0::/some/group" is the line of cgroup v2; in a container's own namespace it is "0::/".
std::string group_of(const std::string& membership) {
    std::ifstream file(membership);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("0::/")) return line.substr(3);
    return {};
}

/// The smaller of two limits, where 0 is none.
template <class T>
T tighter(T one, T other) {
    if (one == 0 || other == 0) return one + other;
    return one < other ? one : other;
}

/// memory.max is "max" or bytes.
uint64_t memory_bytes_max(const std::string& folder) {
    std::ifstream file(folder + "/memory.max");
    uint64_t bytes = 0;
    return file >> bytes ? bytes : 0;
}

/// cpu.max is "max 100000" or microseconds of processor time and the period they are for.
double cores_max(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");
    double quota = 0, period = 0;
    return file >> quota >> period && quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

CgroupLimits read_cgroup_limits(const std::string& root, const std::string& membership) {
    CgroupLimits limits;
    std::string group = group_of(membership);
    if (group.empty()) return limits;
    while (true) {
        const std::string folder = root + group;
        limits.memory_bytes = tighter(limits.memory_bytes, memory_bytes_max(folder));
        limits.cores = tighter(limits.cores, cores_max(folder));
        const size_t parent = group.rfind('/');
        if (parent == group.npos) return limits;
        group.resize(parent);
    }
}

}  // namespace dunlin
