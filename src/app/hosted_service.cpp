#include "app/hosted_service.h"

#include "app/hosted_devices.h"
#include "app/hosted_tokenizer.h"
#include "base/check.h"
#include "base/log.h"
#include "json/json.h"

namespace dunlin {
namespace {

constexpr struct {
    std::string_view kind;
    Expected<AnswerText> (*make)(const std::string& about);
} kServices[] = {{"devices", answer_for_devices}, {"vocabulary", answer_for_vocabulary}};

std::string text(const Json& spec, std::string_view name) {
    const Json* value = spec.find(name);
    return value && value->string() ? *value->string() : std::string();
}

Expected<AnswerText> make(std::string_view text_of_spec) {
    const auto spec = read_json(text_of_spec);
    if (!spec) return std::unexpected(spec.error());
    for (const auto& service : kServices)
        if (service.kind == text(*spec, "kind")) return service.make(text(*spec, "about"));
    return fail(Code::Internal, "there is no such service");
}

}  // namespace

int host_service_of_parent() {
    return host_service(make);
}

std::unique_ptr<Service> make_hosted_service(const std::string& kind, const std::string& about,
                                             const std::string& name, uint32_t patience_ms) {
    auto spec = write_json(Json::Object{{"kind", kind}, {"about", about}});
    CHECK(spec);
    return std::make_unique<Service>(
        ProcessSettings{.command = {"/proc/self/exe", std::string(kHostService)},
                        .spec = std::move(*spec),
                        .name = name},
        patience_ms);
}

}  // namespace dunlin
