#include "app/hosted_devices.h"

#include "app/hosted_service.h"
#include "app/own_process.h"
#include "base/log.h"

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
    const Json* is_gpu = json.find("is_gpu");
    return {.name = own_text(json, "name"),
            .kind = own_text(json, "kind"),
            .description = own_text(json, "description"),
            .is_gpu = is_gpu && is_gpu->boolean() && *is_gpu->boolean(),
            .memory_bytes_free = own_number(json, "free"),
            .memory_bytes_total = own_number(json, "total"),
            .library_name = own_text(json, "library_name")};
}

Expected<std::vector<LlamaCppDevice>> ask_for_devices() {
    const auto service =
        make_hosted_service("devices", "", "the look for devices", kDevicesPatienceMs);
    if (!service) return std::unexpected(service.error());
    const auto answer = (*service)->ask("");
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
