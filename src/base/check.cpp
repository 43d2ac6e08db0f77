#include "base/check.h"

#include <cstdio>
#include <cstdlib>

#include "base/last_words.h"

namespace dunlin {

void check_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
    say_last_words(condition);
    std::abort();
}

}  // namespace dunlin
