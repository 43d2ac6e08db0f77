#include "app/hosted_runner.h"

#include <chrono>
#include <thread>

#include "app/fake_model.h"
#include "app/own_process.h"
#include "base/checked.h"
#include "runner/process/host.h"

namespace dunlin {
namespace {

Expected<std::unique_ptr<Runner>> make_process(Json spec, std::string name) {
    const auto settings = own_process(kHostRunner, std::move(spec), std::move(name));
    if (!settings) return std::unexpected(settings.error());
    return make_process_runner(*settings);
}

/// 0 where there is none.
uint32_t number(const Json& spec, std::string_view name) {
    return checked_cast<uint32_t>(own_number(spec, name)).value_or(0);
}

Expected<std::unique_ptr<Runner>> make(std::string_view text_of_spec) {
    const auto spec = read_own_spec(text_of_spec);
    if (!spec) return std::unexpected(spec.error());
    if (const std::string fake = own_text(*spec, "fake"); !fake.empty()) {
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
        .device = own_text(*spec, "device")};
    if (spec->find("device_layers")) settings.device_layers = number(*spec, "device_layers");
    return make_llamacpp_runner(own_text(*spec, "path"), settings);
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
