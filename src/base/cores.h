#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace dunlin {

/// How many cores `processors` (as Linux numbers them) belong to. Two threads of one core share its
/// units, and a kernel keeps these busy alone: a second thread gains nothing and doubles who must
/// meet at each barrier. `root` is where the system describes its processors; one that it does not
/// describe counts as a core.
uint32_t count_cores(std::span<const uint32_t> processors,
                     const std::string& root = "/sys/devices/system/cpu");

}  // namespace dunlin
