#include "app/hosted_devices.h"

#include "app/hosted_service.h"
#include "base/log.h"
#include "json/json.h"

namespace dunlin {
namespace {

constexpr uint32_t kDevicesPatienceMs = 30'000;

Json to_json(const LlamaCppDevice& device) {
    return Json::Object{{"name", device.name},
                        {"kind", device.kind},
                        {"description", device.description},
                        {"is_gpu", device.is_gpu},
                        {"free", device.memory_bytes_free},
                        {"total", device.memory_bytes_total},
                        {"library_name", device.library_name}};
}

LlamaCppDevice from_json(const Json& json) {
    const auto text = [&](std::string_view name) {
        const Json* value = json.find(name);
        return value && value->string() ? *value->string() : std::string();
    };
    const auto number = [&](std::string_view name) {
        const Json* value = json.find(name);
        uint64_t out = 0;
        return value && value->to_uint64(out) ? out : 0;
    };
    const Json* is_gpu = json.find("is_gpu");
    return {.name = text("name"),
            .kind = text("kind"),
            .description = text("description"),
            .is_gpu = is_gpu && is_gpu->boolean() && *is_gpu->boolean(),
            .memory_bytes_free = number("free"),
            .memory_bytes_total = number("total"),
            .library_name = text("library_name")};
}

Expected<std::vector<LlamaCppDevice>> ask_for_devices() {
    const auto answer =
        make_hosted_service("devices", "", "the look for devices", kDevicesPatienceMs)->ask("");
    if (!answer) return std::unexpected(answer.error());
    const auto json = read_json(*answer);
    if (!json) return std::unexpected(json.error());
    std::vector<LlamaCppDevice> out;
    if (const Json::Array* devices = json->array())
        for (const Json& device : *devices) out.push_back(from_json(device));
    return out;
}

}  // namespace

std::vector<LlamaCppDevice> find_devices() {
    auto devices = ask_for_devices();
    if (devices) return std::move(*devices);
    log_warning("llama.cpp", "no devices found, because looking for them failed",
                {{"error", devices.error().message}});
    return {};
}

Expected<AnswerText> answer_for_devices(const std::string&) {
    return [](std::string_view) -> Expected<std::string> {
        Json::Array devices;
        for (const LlamaCppDevice& device : llamacpp_devices()) devices.push_back(to_json(device));
        return write_json(Json(std::move(devices)));
    };
}

}  // namespace dunlin
