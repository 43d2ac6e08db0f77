#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/draft_pace.h"
#include "engine/generation_log.h"
#include "engine/prepare.h"
#include "engine/prompt_lookup.h"
#include "engine/stop_strings.h"
#include "sampling/sampler.h"
#include "text/stream_decoder.h"

namespace dunlin {

/// One request under way, shared by its choices.
struct Answer {
    std::unique_ptr<LocalPrepared> request;
    Admission admission;
    std::shared_ptr<GenerationLog> log = std::make_shared<GenerationLog>();
    Usage usage;
    Reuse reuse = Reuse::FirstUse;
    Timings timings;
    uint32_t choices_left = 0;  // not finished yet
    bool started = false;
    uint32_t position = 0;    // in the queue, as its readers were told last; 0: nothing yet
    int64_t position_us = 0;  // when
    int64_t submitted_us = 0, started_us = 0, first_token_us = 0, last_token_us = 0;
};

/// One choice of an answer: its tokens so far and what turns new ones into text. No I/O, no clock.
class Sequence {
 public:
    Sequence(std::shared_ptr<Answer> answer, uint32_t choice, const Tokenizer& tokenizer);

    /// Takes a sampled row; the text that may be shown now is in take_text().
    void accept(std::span<const float> logits, const std::vector<TokenId>& end_tokens);

    /// Set once the sequence has ended by itself.
    const std::optional<Finished>& finished() const { return finished_; }
    /// Text, ids and logprobs since the last call; nothing where there is no whole character yet.
    std::optional<Text> take_text(bool last);

    Answer& answer() const { return *answer_; }
    const std::shared_ptr<Answer>& shared_answer() const { return answer_; }
    uint32_t choice() const { return choice_; }
    const std::vector<TokenId>& tokens() const { return tokens_; }
    uint32_t answer_tokens() const {
        return static_cast<uint32_t>(tokens_.size() - answer_->request->prompt.size());
    }
    uint32_t tokens_max() const {
        return static_cast<uint32_t>(answer_->request->prompt.size()) +
               answer_->request->answer_tokens_max;
    }

    // The scheduler's own notes.
    SeqId seq = 0;          // 0: not open in the runner
    SeqId waits_for = 0;    // is computing this prompt's beginning right now
    uint64_t admitted = 0;  // order of admission; the newest is preempted first
    uint64_t served = 0;    // order of the last slices computed in parts
    PromptLookup lookup;
    DraftBalance balance;
    std::vector<TokenId> draft;  // the last token and guesses of what follows, while in a step

 private:
    std::shared_ptr<Answer> answer_;
    uint32_t choice_;
    const Tokenizer* tokenizer_;
    std::vector<TokenId> tokens_;  // prompt and answer
    Sampler sampler_;
    StreamDecoder decoder_;
    StopStrings stops_;
    Text pending_;
    std::optional<Finished> finished_;
};

}  // namespace dunlin
