#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dunlin {

/// A Jinja chat template as model publishers write them, rendered with a bound on its work and its
/// output. Immutable. [any thread]
class ChatTemplate {
 public:
    virtual ~ChatTemplate() = default;

    /// `context_json` is an object with what transformers passes: "messages" (required),
    /// "add_generation_prompt", "tools", ... The clock is given, never read, so that rendering is
    /// repeatable. Errors: Invalid (the template's own raise_exception, or a fault at line N),
    /// TooLarge (fuel or output used up).
    virtual Expected<std::string> render(std::string_view context_json,
                                         int64_t now_unix_s) const = 0;
};

/// `bos` and `eos` are the tokens' spellings ("<s>"), which templates may print.
/// Errors: Invalid, with the line.
Expected<std::unique_ptr<ChatTemplate>> chat_template_from_source(std::string_view jinja,
                                                                  std::string_view bos,
                                                                  std::string_view eos);

}  // namespace dunlin
