#include "sessions/random_id.h"

#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace dunlin {

Expected<std::string> random_id(std::string_view prefix) {
    static constexpr char kHex[] = "0123456789abcdef";
    unsigned char bytes[12];
    if (getentropy(bytes, sizeof bytes) != 0)
        return fail(Code::Io,
                    std::string("the system gives no random numbers: ") + std::strerror(errno));
    std::string out(prefix);
    for (const unsigned char byte : bytes) {
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
    return out;
}

}  // namespace dunlin
