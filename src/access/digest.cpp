#include "access/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"

namespace dunlin {
namespace {

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Bytes32 sha256(std::string_view bytes) {
    Bytes32 out{};
    unsigned size = 0;
    CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, EVP_sha256(), nullptr) == 1 &&
          size == out.size());
    return out;
}

Bytes32 hmac_sha256(const Bytes32& secret, std::string_view bytes) {
    Bytes32 out{};
    unsigned size = 0;
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    CHECK(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), data, bytes.size(),
               out.data(), &size) != nullptr &&
          size == out.size());
    return out;
}

std::string to_hex(const Bytes32& bytes) {
    std::string out;
    for (const uint8_t byte : bytes) {
        out += "0123456789abcdef"[byte >> 4];
        out += "0123456789abcdef"[byte & 15];
    }
    return out;
}

std::optional<Bytes32> from_hex(std::string_view digits) {
    Bytes32 out{};
    if (digits.size() != 2 * out.size()) return std::nullopt;
    for (size_t i = 0; i < digits.size(); ++i) {
        const int value = digit_value(digits[i]);
        if (value < 0) return std::nullopt;
        out[i / 2] = static_cast<uint8_t>(out[i / 2] << 4 | value);
    }
    return out;
}

bool equal_in_constant_time(const Bytes32& a, const Bytes32& b) {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Bytes32 fresh_secret() {
    Bytes32 out{};
    CHECK(getentropy(out.data(), out.size()) == 0);
    return out;
}

}  // namespace dunlin
