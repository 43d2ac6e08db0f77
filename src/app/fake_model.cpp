#include "app/fake_model.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "engine/byte_tokenizer.h"

namespace dunlin {

bool is_fake_model(std::string_view path) {
    return path == "fake" || path.starts_with("fake:");
}

Expected<FakeModel> parse_fake_model(std::string_view path) {
    FakeModel fake{.runner = {.vocabulary = kByteTokenizerSize,
                              .blocks = 4096,
                              .sequences_max = 64,
                              .sequence_tokens_max = 8192,
                              .step_tokens_max = 512,
                              .step_us = 2000}};
    path.remove_prefix(std::min(path.size(), std::string_view("fake:").size()));
    while (!path.empty()) {
        const auto part = path.substr(0, path.find(','));
        path.remove_prefix(std::min(path.size(), part.size() + 1));
        const auto name = part.substr(0, part.find('='));
        const auto text = part.substr(std::min(part.size(), name.size() + 1));
        uint32_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        bool known = error == std::errc{} && end == text.data() + text.size();
        const auto take = [&](std::string_view field, auto& slot) {
            if (name == field) slot = value;
            return name == field;
        };
        FakeSettings& runner = fake.runner;
        known =
            known &&
            (take("blocks", runner.blocks) || take("sequences_max", runner.sequences_max) ||
             take("sequence_tokens_max", runner.sequence_tokens_max) ||
             take("step_tokens_max", runner.step_tokens_max) || take("step_us", runner.step_us) ||
             take("token_us", runner.token_us) || take("surprise_every", runner.surprise_every) ||
             take("fail_at_step", runner.fail_at_step) || take("nan_at_step", runner.nan_at_step) ||
             take("hang_at_step", runner.hang_at_step) || take("load_ms", fake.load_ms) ||
             take("fail_load", fake.fail_load) || take("hosted", fake.hosted));
        if (!known)
            return fail(Code::Invalid, "the fake model has no setting '" + std::string(part) + "'");
    }
    return fake;
}

}  // namespace dunlin
