#include "access/key_ring.h"

#include "base/check.h"

namespace dunlin {

KeyRing::KeyRing(std::vector<Key> keys) : keys_(std::move(keys)) {
    CHECK(keys_.size() <= kKeysMax);
}

KeyRing::Found KeyRing::find(std::string_view presented) const {
    if (presented.empty() || presented.size() > kKeyBytesMax) return {};
    const Bytes32 hash = sha256(presented);
    const Key* found = nullptr;
    for (const Key& key : keys_)
        if (equal_in_constant_time(key.hash, hash)) found = &key;
    if (found == nullptr) return {};
    return {found->enabled ? Standing::Enabled : Standing::Disabled, found};
}

std::string new_key() {
    constexpr const char* kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out = "dl-";
    uint32_t bits = 0;
    int count = 0;
    for (const uint8_t byte : fresh_secret()) {
        bits = bits << 8 | byte;
        for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63];
    }
    return out + kDigits[bits << (6 - count) & 63];
}

}  // namespace dunlin
