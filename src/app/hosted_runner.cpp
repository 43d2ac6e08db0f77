#include "app/hosted_runner.h"

#include <chrono>
#include <limits>
#include <thread>

#include "app/fake_model.h"
#include "base/log.h"
#include "json/json.h"
#include "runner/process/host.h"
#include "runner/process/process_runner.h"

namespace dunlin {
namespace {

Expected<std::unique_ptr<Runner>> make_process(Json spec, std::string name) {
    spec.set("log_level", static_cast<uint32_t>(log_level()));
    auto text = write_json(spec);
    if (!text) return std::unexpected(text.error());
    return make_process_runner({.command = {"/proc/self/exe", std::string(kHostRunner)},
                                .spec = std::move(*text),
                                .name = std::move(name)});
}

/// A number of our own spec; 0 where there is none.
uint32_t number(const Json& spec, std::string_view name) {
    const Json* value = spec.find(name);
    uint64_t out = 0;
    return value && value->to_uint64(out) && out <= std::numeric_limits<uint32_t>::max()
               ? static_cast<uint32_t>(out)
               : 0;
}
std::string text(const Json& spec, std::string_view name) {
    const Json* value = spec.find(name);
    return value && value->string() ? *value->string() : std::string();
}

Expected<std::unique_ptr<Runner>> make(std::string_view text_of_spec) {
    const auto spec = read_json(text_of_spec);
    if (!spec) return std::unexpected(spec.error());
    set_log_level(static_cast<LogLevel>(number(*spec, "log_level")));
    if (const std::string fake = text(*spec, "fake"); !fake.empty()) {
        const auto model = parse_fake_model(fake);
        if (!model) return std::unexpected(model.error());
        std::this_thread::sleep_for(std::chrono::milliseconds(model->load_ms));
        return make_fake_runner(model->runner);
    }
    LlamaCppSettings settings{
        .threads = number(*spec, "threads"),
        .sequences_max = number(*spec, "sequences_max"),
        .step_tokens_max = number(*spec, "step_tokens_max"),
        .step_outputs_max = number(*spec, "step_outputs_max"),
        .context_tokens_max = number(*spec, "context_tokens_max"),
        .flash_attention = static_cast<FlashAttention>(number(*spec, "flash_attention")),
        .kv_type = static_cast<KvType>(number(*spec, "kv_type")),
        .device = text(*spec, "device")};
    if (spec->find("device_layers")) settings.device_layers = number(*spec, "device_layers");
    return make_llamacpp_runner(text(*spec, "path"), settings);
}

}  // namespace

int host_runner_of_parent() {
    return host_runner(make);
}

Expected<std::unique_ptr<Runner>> make_hosted_llamacpp(const std::string& path,
                                                       const LlamaCppSettings& settings) {
    Json spec(Json::Object{});
    spec.set("path", path)
        .set("threads", settings.threads)
        .set("sequences_max", settings.sequences_max)
        .set("step_tokens_max", settings.step_tokens_max)
        .set("step_outputs_max", settings.step_outputs_max)
        .set("context_tokens_max", settings.context_tokens_max)
        .set("flash_attention", static_cast<uint32_t>(settings.flash_attention))
        .set("kv_type", static_cast<uint32_t>(settings.kv_type))
        .set("device", settings.device);
    if (settings.device_layers) spec.set("device_layers", *settings.device_layers);
    return make_process(std::move(spec), "llama.cpp");
}

Expected<std::unique_ptr<Runner>> make_hosted_fake(const std::string& path) {
    return make_process(Json::Object{{"fake", path}}, "the fake model");
}

}  // namespace dunlin
