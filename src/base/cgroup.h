#pragma once

#include <cstdint>
#include <string>

namespace dunlin {

/// What a control group allows its processes; containers set it. 0: no limit.
struct CgroupLimits {
    uint64_t memory_bytes = 0;
    double cores = 0;  // of processor time, as docker's --cpus
};

/// The least that the group and those above it allow (Linux cgroup v2: memory.max and cpu.max, see
/// Documentation/admin-guide/cgroup-v2.rst). `root` is where the groups are mounted, `membership`
/// a file as /proc/self/cgroup. No limits where either cannot be read, as with cgroup v1.
CgroupLimits read_cgroup_limits(const std::string& root = "/sys/fs/cgroup",
                                const std::string& membership = "/proc/self/cgroup");

}  // namespace dunlin
