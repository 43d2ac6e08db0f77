#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "chat/turn.h"
#include "json/json.h"
#include "net/http.h"
#include "wire/parameters.h"

namespace dunlin {

/// How one answer is written: what stays the same in each of its chunks.
struct AnswerForm {
    Dialect dialect = Dialect::Chat;
    std::string id, model, fingerprint;
    int64_t created_unix_s = 0;
    uint32_t choices = 1;
    bool include_usage = false;
    bool logprobs = false;
    std::vector<std::string> echo = {};  // completions: what comes before each choice's text
};

/// The events of a whole answer as one JSON object. REQUIRES: `events` ends in Done.
Json whole_answer(const AnswerForm& form, const std::vector<Event>& events);

/// Appends the SSE frames of one event. Returns true after the last.
bool append_frames(const AnswerForm& form, const Event& event, std::string& out);

/// The SSE body that follows a turn; a failure before its first event becomes a plain error
/// response. `metrics` counts failures.
std::unique_ptr<BodySource> answer_stream(AnswerForm form, TurnReader reader, Metrics& metrics);

}  // namespace dunlin
