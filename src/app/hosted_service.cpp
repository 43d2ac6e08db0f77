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

Expected<AnswerText> make_answer(std::string_view text_of_spec) {
    const auto spec = read_json(text_of_spec);
    if (!spec) return std::unexpected(spec.error());
    const Json* kind = spec->find("kind");
    const Json* about = spec->find("about");
    if (kind && kind->string() && about && about->string())
        for (const auto& service : kServices)
            if (service.kind == *kind->string()) return service.make(*about->string());
    return fail(Code::Internal, "there is no such service");
}

}  // namespace

int host_service_of_parent() {
    return host_service(make_answer);
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
