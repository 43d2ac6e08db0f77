// Any bytes as a GGUF file: a clean error, or a file of which every tensor can be read to its end.

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "formats/model_config.h"

namespace {

/// A nameless file, since files are read by map.
std::string path_of(const uint8_t* data, size_t size) {
    static std::FILE* const file = std::tmpfile();
    if (file == nullptr || ftruncate(fileno(file), 0) != 0) std::abort();
    if (std::fseek(file, 0, SEEK_SET) != 0) std::abort();
    if (std::fwrite(data, 1, size, file) != size || std::fflush(file) != 0) std::abort();
    return "/proc/self/fd/" + std::to_string(fileno(file));
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer asks for this name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto file = dunlin::GgufFile::open(path_of(data, size));
    if (!file) return 0;
    volatile uint8_t sink = 0;
    for (const auto name : (*file)->names())
        for (const std::byte b : (*file)->find(name)->data) sink = sink ^ static_cast<uint8_t>(b);
    (void)dunlin::model_config_from_gguf(**file);
    return 0;
}
