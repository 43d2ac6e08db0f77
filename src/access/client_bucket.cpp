#include "access/client_bucket.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

namespace dunlin {

std::string client_bucket(std::string_view address) {
    const std::string plain(address.substr(0, address.find('%')));  // without the interface's name
    std::array<unsigned char, 16> bytes{};
    if (inet_pton(AF_INET6, plain.c_str(), bytes.data()) != 1) return std::string(address);
    constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN] = {};
    if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
        inet_ntop(AF_INET, bytes.data() + kMapped.size(), text, sizeof text);
        return text;
    }
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
    return std::string(text) + "/64";
}

}  // namespace dunlin
