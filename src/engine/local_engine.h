#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "engine/engine.h"
#include "runner/runner.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace dunlin {

struct EngineSettings {
    std::string model = {};               // the label of the metrics
    uint32_t queue_max = 256;             // answers waiting for a place; above: Overloaded
    uint32_t response_tokens_max = 2048;  // what max_tokens is lowered to; 0: only the context
    uint32_t choices_max = 16;
    // Prompts may lengthen a step of decoding answers by this share of its own time, and a step of
    // prompts alone lasts at most about so long.
    double slice_ratio = 0.97;
    uint32_t step_ms_max = 1000;
    uint32_t draft_tokens_max = 8;  // guesses computed along for one answer in a step; 0: none
    std::vector<TokenId> end_tokens = {};  // any of these ends an answer
};

/// An engine over a Runner in this process, with one thread of its own that schedules, computes and
/// samples. `chat_template` may be null: then chat requests are refused. The clock and the metrics
/// must outlive it.
std::shared_ptr<Engine> make_engine(std::unique_ptr<Runner> runner,
                                    std::shared_ptr<const Tokenizer> tokenizer,
                                    std::unique_ptr<ChatTemplate> chat_template,
                                    EngineSettings settings, const Clock& clock, Metrics& metrics);

}  // namespace dunlin
