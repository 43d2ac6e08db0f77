#include "api/ids.h"

#include <cstdio>
#include <random>

namespace dunlin {

std::string new_id(std::string_view prefix) {
    static thread_local std::mt19937_64 draw{std::random_device{}()};
    char digits[24];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(draw()));
    return std::string(prefix) + digits;
}

}  // namespace dunlin
