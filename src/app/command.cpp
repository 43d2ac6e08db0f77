#include "app/command.h"

#include <cstdio>
#include <cstdlib>

namespace dunlin {

void exit_with(const Error& error, int exit_code) {
    std::fflush(stdout);
    std::fprintf(stderr, "dunlin: %s\n", error.message.c_str());
    std::exit(exit_code);
}

std::string read_stdin() {
    constexpr size_t kBytesMax = size_t{16} << 20;
    std::string out;
    char part[65536];
    while (const size_t bytes = std::fread(part, 1, sizeof part, stdin)) {
        out.append(part, bytes);
        if (out.size() > kBytesMax)
            exit_with({Code::TooLarge, "standard input has more than 16 MiB"}, 2);
    }
    if (out.ends_with('\n')) out.pop_back();
    return out;
}

}  // namespace dunlin
