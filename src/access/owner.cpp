#include "access/owner.h"

#include "base/mix.h"

namespace dunlin {

Digest prefix_domain(std::string_view owner) {
    Digest out{0x6f776e6572, owner.size()};
    for (const char c : owner) {
        const auto byte = static_cast<unsigned char>(c);
        out = {mix(out.hi ^ byte), mix(out.lo + byte) ^ out.hi};
    }
    return out;
}

}  // namespace dunlin
