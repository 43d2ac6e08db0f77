#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace dunlin {

enum class LogLevel : uint8_t { Debug, Info, Warning, Error, Off };

/// One `key=value` of a log line. Values are escaped by the sink, so that a line stays a line.
struct LogField {
    LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
    LogField(std::string_view k, const char* v) : key(k), value(v) {}
    LogField(std::string_view k, double v);
    template <class T>
        requires std::is_integral_v<T>
    LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}

    std::string_view key;
    std::string value;
};

/// Where lines go. `app` installs the real sink at start; until then they go to stderr.
class LogSink {
 public:
    virtual ~LogSink() = default;
    /// [any thread] One event: the area (a rung's name), what happened, and its fields.
    virtual void write(LogLevel level, std::string_view area, std::string_view event,
                       std::initializer_list<LogField> fields) = 0;
};

/// REQUIRES: the sink outlives every thread that logs. nullptr restores stderr.
void set_log_sink(LogSink* sink);
void set_log_level(LogLevel level);
LogLevel log_level();
bool log_enabled(LogLevel level);

/// One line an event: `log_info("engine", "model loaded", {{"model", id}, {"load_ms", ms}});`
/// Prompts, answers and keys are never logged.
void log_debug(std::string_view area, std::string_view event,
               std::initializer_list<LogField> fields = {});
void log_info(std::string_view area, std::string_view event,
              std::initializer_list<LogField> fields = {});
void log_warning(std::string_view area, std::string_view event,
                 std::initializer_list<LogField> fields = {});
void log_error(std::string_view area, std::string_view event,
               std::initializer_list<LogField> fields = {});

/// `text` with control characters, quotes and backslashes escaped (\n, \", \u001b).
std::string log_escape(std::string_view text);

}  // namespace dunlin
