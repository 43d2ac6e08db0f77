#include "text/chat_template.h"

#include "text/crate.h"

namespace dunlin {
namespace {

class CrateTemplate final : public ChatTemplate {
 public:
    explicit CrateTemplate(dt_template* raw) : raw_(raw) {}
    ~CrateTemplate() override { dt_template_free(raw_); }
    CrateTemplate(const CrateTemplate&) = delete;
    CrateTemplate& operator=(const CrateTemplate&) = delete;

    Expected<std::string> render(std::string_view context_json, int64_t now_unix_s) const override {
        CrateBuffer text;
        CrateBuffer error;
        const int code =
            dt_template_render(raw_, to_view(context_json), now_unix_s, &text.raw, &error.raw);
        if (code != DT_OK) return crate_failure(code, error);
        return std::string(text.text());
    }

 private:
    dt_template* raw_;
};

}  // namespace

Expected<std::unique_ptr<ChatTemplate>> chat_template_from_source(std::string_view jinja,
                                                                  std::string_view bos,
                                                                  std::string_view eos) {
    dt_template* raw = nullptr;
    CrateBuffer error;
    const int code = dt_template_new(to_view(jinja), to_view(bos), to_view(eos), &raw, &error.raw);
    if (code != DT_OK) return crate_failure(code, error);
    return std::make_unique<CrateTemplate>(raw);
}

}  // namespace dunlin
