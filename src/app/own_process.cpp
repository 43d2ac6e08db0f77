#include "app/own_process.h"

#include "base/log.h"

namespace dunlin {

Expected<ProcessSettings> own_process(std::string_view argument, Json spec, std::string name) {
    spec.set("log_level", static_cast<uint32_t>(log_level()));
    auto text = write_json(spec);
    if (!text) return std::unexpected(text.error());
    return ProcessSettings{.command = {"/proc/self/exe", std::string(argument)},
                           .spec = std::move(*text),
                           .name = std::move(name)};
}

Expected<Json> read_own_spec(std::string_view text) {
    auto spec = read_json(text);
    if (spec) set_log_level(static_cast<LogLevel>(own_number(*spec, "log_level")));
    return spec;
}

uint64_t own_number(const Json& object, std::string_view name) {
    const Json* value = object.find(name);
    uint64_t out = 0;
    return value && value->to_uint64(out) ? out : 0;
}
std::string own_text(const Json& object, std::string_view name) {
    const Json* value = object.find(name);
    return value && value->string() ? *value->string() : std::string();
}

}  // namespace dunlin
