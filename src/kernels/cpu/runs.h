#pragma once

#include <cstddef>

namespace dunlin {

/// Calls `body.template operator()<N>(at)` for runs of N in [at, end), N as large as allowed.
template <int Max, class Body>
void in_runs(size_t at, size_t end, Body&& body) {
    for (; at + Max <= end; at += Max) body.template operator()<Max>(at);
    if constexpr (Max > 1) {
        if (at < end) in_runs<Max / 2>(at, end, body);
    }
}

}  // namespace dunlin
