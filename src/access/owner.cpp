#include "access/owner.h"

#include <cstring>

#include "access/digest.h"

namespace dunlin {

Digest prefix_domain(std::string_view owner) {
    static const Bytes32 secret = fresh_secret();
    const Bytes32 code = hmac_sha256(secret, owner);
    Digest out;
    std::memcpy(&out.hi, code.data(), sizeof out.hi);
    std::memcpy(&out.lo, code.data() + sizeof out.hi, sizeof out.lo);
    return out;
}

}  // namespace dunlin
