#include "runner/llamacpp/llamacpp_log.h"

#include <mutex>
#include <string_view>
#include <utility>

#include "base/last_words.h"
#include "base/log.h"
#include "llama.h"

namespace dunlin {
namespace {

std::mutex mutex;
std::string line, first_error;
ggml_log_level line_level = GGML_LOG_LEVEL_NONE;

/// "llama_model_load: error loading model: check_dims: no x" -> "no x".
std::string_view reason(std::string_view text) {
    constexpr std::string_view kLoading = "error loading model: ";
    while (true) {
        if (text.starts_with(kLoading)) text.remove_prefix(kLoading.size());
        const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789");
        if (end == 0 || end == text.npos || !text.substr(end).starts_with(": ") ||
            text.substr(0, end).find('_') == text.npos)
            return text;
        text.remove_prefix(end + 2);
    }
}

void write(ggml_log_level level, std::string_view text) {
    switch (level) {
        case GGML_LOG_LEVEL_ERROR:
            if (first_error.empty()) first_error = reason(text);
            return log_warning("llama.cpp", text);
        case GGML_LOG_LEVEL_WARN:
            return log_info("llama.cpp", text);
        default:
            return log_debug("llama.cpp", text);
    }
}

/// The library gives pieces of lines; a piece that goes on has the level CONT.
void receive(ggml_log_level level, const char* text, void*) {
    const std::lock_guard lock(mutex);
    if (level != GGML_LOG_LEVEL_CONT) line_level = level;
    line += text;
    for (size_t end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
        if (end > 0) write(line_level, std::string_view(line).substr(0, end));
        line.erase(0, end + 1);
    }
}

}  // namespace

void start_llamacpp() {
    static std::once_flag once;
    std::call_once(once, [] {
        llama_log_set(receive, nullptr);
        // In place of the library's own handler, which starts a debugger on the process.
        ggml_set_abort_callback([](const char* text) {
            log_error("llama.cpp", text);
            say_last_words(text);
        });
        llama_backend_init();
    });
}

std::string take_llamacpp_error() {
    const std::lock_guard lock(mutex);
    return std::exchange(first_error, {});
}

}  // namespace dunlin
