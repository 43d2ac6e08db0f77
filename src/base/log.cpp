#include "base/log.h"

#include <cstdio>

namespace dunlin {
namespace {

std::atomic<LogSink*> sink_installed{nullptr};
std::atomic<LogLevel> level_installed{LogLevel::Info};

/// Before `app` has set up the real one: plain lines to stderr.
class StderrSink final : public LogSink {
 public:
    void write(LogLevel, std::string_view area, std::string_view event,
               std::initializer_list<LogField> fields) override {
        std::string line = std::string(area) + ": " + log_escape(event);
        for (const LogField& field : fields)
            line.append(" ").append(field.key).append("=").append(log_escape(field.value));
        line += '\n';
        std::fwrite(line.data(), 1, line.size(), stderr);
    }
};

void write(LogLevel level, std::string_view area, std::string_view event,
           std::initializer_list<LogField> fields) {
    if (!log_enabled(level)) return;
    static StderrSink fallback;
    LogSink* sink = sink_installed.load(std::memory_order_acquire);
    (sink ? sink : &fallback)->write(level, area, event, fields);
}

}  // namespace

LogField::LogField(std::string_view k, double v) : key(k) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", v);
    value = digits;
}

void set_log_sink(LogSink* sink) {
    sink_installed.store(sink, std::memory_order_release);
}
void set_log_level(LogLevel level) {
    level_installed.store(level, std::memory_order_relaxed);
}
LogLevel log_level() {
    return level_installed.load(std::memory_order_relaxed);
}
bool log_enabled(LogLevel level) {
    return level >= log_level();
}

void log_debug(std::string_view area, std::string_view event,
               std::initializer_list<LogField> fields) {
    write(LogLevel::Debug, area, event, fields);
}
void log_info(std::string_view area, std::string_view event,
              std::initializer_list<LogField> fields) {
    write(LogLevel::Info, area, event, fields);
}
void log_warning(std::string_view area, std::string_view event,
                 std::initializer_list<LogField> fields) {
    write(LogLevel::Warning, area, event, fields);
}
void log_error(std::string_view area, std::string_view event,
               std::initializer_list<LogField> fields) {
    write(LogLevel::Error, area, event, fields);
}

std::string log_escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') {
            out += "\\n";
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
            out += escaped;
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace dunlin
