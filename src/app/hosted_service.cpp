#include "app/hosted_service.h"

#include "app/hosted_devices.h"
#include "app/hosted_tokenizer.h"
#include "app/own_process.h"

namespace dunlin {
namespace {

constexpr struct {
    std::string_view kind;
    Expected<AnswerText> (*make)(const std::string& about);
} kServices[] = {{"devices", answer_for_devices}, {"vocabulary", answer_for_vocabulary}};

Expected<AnswerText> make_answer(std::string_view text_of_spec) {
    const auto spec = read_own_spec(text_of_spec);
    if (!spec) return std::unexpected(spec.error());
    for (const auto& service : kServices)
        if (service.kind == own_text(*spec, "kind")) return service.make(own_text(*spec, "about"));
    return fail(Code::Internal, "there is no such service");
}

}  // namespace

int host_service_of_parent() {
    return host_service(make_answer);
}

Expected<std::unique_ptr<Service>> make_hosted_service(const std::string& kind,
                                                       const std::string& about,
                                                       const std::string& name,
                                                       uint32_t patience_ms) {
    auto settings = own_process(kHostService, Json::Object{{"kind", kind}, {"about", about}}, name);
    if (!settings) return std::unexpected(settings.error());
    return std::make_unique<Service>(std::move(*settings), patience_ms);
}

}  // namespace dunlin
