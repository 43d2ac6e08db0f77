#include "runner/llamacpp/devices.h"

#include <algorithm>

#include "ggml-backend.h"
#include "runner/llamacpp/llamacpp_log.h"

namespace dunlin {
namespace {

/// The library's name as people write it: in lower case, and Metal by its name.
std::string plain(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text.starts_with("mtl") ? "metal" + text.substr(3) : text;
}

}  // namespace

std::vector<LlamaCppDevice> llamacpp_devices() {
    start_llamacpp();
    std::vector<LlamaCppDevice> out;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        ggml_backend_reg_t library = ggml_backend_dev_backend_reg(device);
        const std::string kind = plain(ggml_backend_reg_name(library));
        // Beside the CPU's own: libraries that speed it up, such as a BLAS.
        if (kind == "cpu" || ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_ACCEL)
            continue;
        size_t free = 0, total = 0;
        ggml_backend_dev_memory(device, &free, &total);
        out.push_back({.name = plain(ggml_backend_dev_name(device)),
                       .kind = kind,
                       .description = ggml_backend_dev_description(device),
                       .is_gpu = ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU,
                       .memory_bytes_free = free,
                       .memory_bytes_total = total,
                       .library_name = ggml_backend_dev_name(device)});
    }
    return out;
}

}  // namespace dunlin
