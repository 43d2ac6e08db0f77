#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "access/digest.h"

namespace dunlin {

/// What is known of one API key. The key itself is nowhere: only its holder has it.
struct Key {
    std::string name;  // also the owner of what is made with it
    Bytes32 hash{};    // SHA-256 of the key
    bool enabled = true;
    uint32_t requests_per_minute = 0;  // 0: no limit
};

inline constexpr size_t kKeysMax = 1000;
inline constexpr size_t kKeyBytesMax = 512;

/// The keys that open this server. Does not change. [any thread]
class KeyRing {
 public:
    /// REQUIRES: at most kKeysMax keys, no name and no hash twice.
    explicit KeyRing(std::vector<Key> keys);

    enum class Standing : uint8_t { Unknown, Disabled, Enabled };
    struct Found {
        Standing standing = Standing::Unknown;
        const Key* key = nullptr;  // not where it is unknown
    };
    /// Whose key this is. The presented text is hashed and compared with every key, each in
    /// constant time: how long that takes tells nothing about the keys.
    Found find(std::string_view presented) const;

    bool empty() const { return keys_.empty(); }

 private:
    std::vector<Key> keys_;
};

/// A key that nobody has seen: "dl-" and 256 random bits in base64url (RFC 4648, 5).
std::string new_key();

}  // namespace dunlin
