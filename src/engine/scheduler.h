#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/draft_pace.h"
#include "engine/sequence.h"
#include "engine/step_pace.h"

namespace dunlin {

/// Decides which tokens each step computes. Every sequence has tokens that are not computed yet:
/// one when it is decoding, many when its prompt is new; a step takes first the ones, then slices
/// of the many, as many tokens as StepPace says, shared equally among the prompts. So a long prompt
/// stops neither the answers that are under way nor a short prompt that comes after it.
///
/// Beside answers, where that is less than a block of tokens, one prompt at a time takes a block or
/// nearly so and goes through a part of the model in each step, in turn with the other prompts: a
/// slice of fewer tokens would read all keys and values before it for each of them.
///
/// Where room runs out, the newest sequence gives way: it is closed, its prefix stays cached, and
/// it waits at the front of the queue. The oldest can always go on, because a sequence that could
/// not fit alone was refused when it came; so every sequence ends.
///
/// Where only answers are being written, their rows may hold guesses (PromptLookup) of the tokens
/// to come, each with an output: as long as the tokens sampled from these are the guessed ones, the
/// next output is what another step would have given. The runner then forgets the others. Guesses
/// take room that is free, never another's place.
///
/// Deterministic: no threads, no clock but the times that note() is told. One engine's thread only.
class Scheduler {
 public:
    /// `draft_tokens_max`: of a sequence in a step; 0: guess nothing.
    Scheduler(Runner& runner, StepPace pace, uint32_t draft_tokens_max);

    void enqueue(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }

    /// What to compute next; empty when there is nothing to do. The spans point into sequences that
    /// stay until their removal. `refused` receives sequences that the runner will never take.
    struct Row {
        Sequence* sequence;
        Span span;  // above one output: the last token, and guesses
        bool decodes() const { return span.outputs == span.tokens.size(); }
        uint32_t drafted() const { return span.outputs > 1 ? span.outputs - 1 : 0; }
        /// Whether the token sampled from this output is the one that the next was computed after.
        bool continues(uint32_t output) const {
            return output < drafted() && sequence->tokens().back() == span.tokens[output + 1];
        }
    };
    struct Refusal {
        std::unique_ptr<Sequence> sequence;
        Error error;
    };
    std::vector<Row> next(std::vector<Refusal>& refused);

    /// These rows were a step and took so long.
    void note(std::span<const Row> rows, uint64_t compute_us);

    /// The row's outputs have been sampled, as far as its guesses were right: forgets the others,
    /// before anybody can find them in the cache. Returns how many were right.
    uint32_t settle(const Row& row);

    /// Takes a sequence out, running or waiting. Its state stays cached unless it is broken.
    std::unique_ptr<Sequence> remove(Sequence* sequence, Keep keep);

    const std::deque<std::unique_ptr<Sequence>>& waiting() const { return waiting_; }
    const std::vector<std::unique_ptr<Sequence>>& running() const { return running_; }
    bool idle() const { return waiting_.empty() && running_.empty(); }

 private:
    void admit(std::vector<Refusal>& refused);
    bool attach(Sequence& sequence);
    bool make_room(Sequence& sequence, uint32_t tokens);
    void preempt(size_t index);
    uint32_t tokens_left(Sequence& sequence);
    struct Plan;
    std::vector<Row> plan_step();
    void add_row(Plan& plan, Sequence& sequence, uint32_t left, uint32_t count);
    bool add_slices(Plan& plan);
    void add_slices_in_parts(Plan& plan, double work);
    bool begin_slice(const Plan& plan, double work, uint64_t served_max);
    bool add_parts(Plan& plan, double work);
    void add_drafts(Plan& plan);

    Runner& runner_;
    StepPace pace_;
    DraftPace draft_pace_;
    const uint32_t draft_tokens_max_;
    uint64_t admissions_ = 0, servings_ = 0;
    /// A slice that is computed in parts.
    struct Slice {
        Sequence* sequence = nullptr;    // none
        uint32_t tokens = 0, worth = 0;  // the cost of so many tokens
        uint32_t parts_done = 0;
    } slice_;
    std::deque<std::unique_ptr<Sequence>> waiting_;
    std::vector<std::unique_ptr<Sequence>> running_;  // in order of admission
};

}  // namespace dunlin
