#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace dunlin {

/// Guesses need a runner that can take them back, and that gives the same bits with them.
Scheduler::Scheduler(Runner& runner, StepPace pace, uint32_t draft_tokens_max)
    : runner_(runner),
      pace_(pace),
      draft_tokens_max_(runner.capabilities().batch_invariant
                            ? std::min({draft_tokens_max, runner.capabilities().rollback_max,
                                        DraftPace::kRowsMax})
                            : 0) {}

/// Looks for the sequence's beginning in the cache; false while another is computing it.
bool Scheduler::attach(Sequence& sequence) {
    const Match match = runner_.match(sequence.seq);
    sequence.waits_for = match.wait_for;
    if (match.wait_for != 0) return false;
    Answer& answer = sequence.answer();
    if (!answer.started) {
        answer.usage.cached_tokens = match.length;
        answer.reuse = match.why;
    }
    return true;
}

void Scheduler::admit(std::vector<Refusal>& refused) {
    while (!waiting_.empty()) {
        Sequence& sequence = *waiting_.front();
        const auto seq = runner_.open(
            {sequence.answer().admission.domain, sequence.tokens(), sequence.tokens_max()});
        if (!seq && seq.error().code == Code::NoRoom) return;
        if (!seq) {
            refused.push_back({std::move(waiting_.front()), seq.error()});
            waiting_.pop_front();
            continue;
        }
        sequence.seq = *seq;
        sequence.admitted = ++admissions_;
        attach(sequence);
        // A place is taken only with room for a first piece, else a full cache would thrash.
        if (sequence.waits_for == 0 && !runner_.reserve(sequence.seq, 1)) {
            runner_.close(sequence.seq, Keep::Cached);
            sequence.seq = 0;
            return;
        }
        running_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
}

void Scheduler::preempt(size_t index) {
    runner_.close(running_[index]->seq, Keep::Cached);
    running_[index]->seq = 0;
    running_[index]->waits_for = 0;
    waiting_.push_front(std::move(running_[index]));
    running_.erase(running_.begin() + static_cast<long>(index));
}

/// Reserves room for the sequence, preempting newer ones. False where it must wait itself.
bool Scheduler::make_room(Sequence& sequence, uint32_t tokens) {
    while (!runner_.reserve(sequence.seq, tokens)) {
        if (running_.back().get() == &sequence) return false;
        preempt(running_.size() - 1);
    }
    return true;
}

/// Tokens of the sequence that are not computed yet; 0 while another is computing them.
uint32_t Scheduler::tokens_left(Sequence& sequence) {
    if (sequence.waits_for != 0 && !attach(sequence)) return 0;
    return static_cast<uint32_t>(sequence.tokens().size()) - runner_.length(sequence.seq);
}

/// A step in the making: its rows, and what still fits.
struct Scheduler::Plan {
    std::vector<Row> rows;
    uint32_t tokens, outputs;
};

void Scheduler::add_row(Plan& plan, Sequence& sequence, uint32_t left, uint32_t count) {
    const uint32_t outputs = count == left ? 1 : 0;
    if (plan.tokens < count || plan.outputs < outputs || !make_room(sequence, count)) return;
    const std::span<const TokenId> pending = std::span(sequence.tokens()).last(left);
    plan.rows.push_back({&sequence, {sequence.seq, pending.first(count), outputs}});
    plan.tokens -= count;
    plan.outputs -= outputs;
}

/// The most tokens that one of several prompts may take so that all get the same, and what the
/// short ones leave goes to the long ones. At least 1.
static uint32_t equal_share(std::vector<uint32_t> lefts, uint32_t tokens) {
    std::sort(lefts.begin(), lefts.end());
    for (size_t i = 0; i < lefts.size(); ++i) {
        const auto share = tokens / static_cast<uint32_t>(lefts.size() - i);
        if (lefts[i] > share) return std::max(1U, share);
        tokens -= lefts[i];
    }
    return UINT32_MAX;
}

/// False where there is no prompt to compute.
bool Scheduler::add_slices(Plan& plan) {
    std::vector<uint32_t> lefts;
    for (const auto& sequence : running_)
        if (const uint32_t left = tokens_left(*sequence); left > 1) lefts.push_back(left);
    if (lefts.empty()) return false;
    const auto decode_rows = static_cast<uint32_t>(plan.rows.size());
    plan.tokens = std::min(plan.tokens, pace_.prefill_tokens_max(decode_rows));
    const uint32_t share = equal_share(std::move(lefts), plan.tokens);
    // By index, because making room takes sequences off the end.
    for (size_t i = 0; i < running_.size() && plan.tokens > 0; ++i) {
        const uint32_t left = tokens_left(*running_[i]);
        if (left > 1) add_row(plan, *running_[i], left, std::min({left, share, plan.tokens}));
    }
    return true;
}

/// Lengthens the rows by guesses where these pay.
void Scheduler::add_drafts(Plan& plan) {
    const auto sequences = static_cast<uint32_t>(plan.rows.size());
    const auto price = draft_pace_.price(sequences);
    if (!price) return;
    uint32_t left = std::min({plan.tokens, plan.outputs, DraftPace::kRowsMax - sequences});
    for (uint32_t i = 0; i < sequences; ++i) {
        Row& row = plan.rows[i];
        Sequence& sequence = *row.sequence;
        const auto size = static_cast<uint32_t>(sequence.tokens().size());
        // Each guess may bring a token, and the row brings one in any case.
        const uint32_t more = sequence.tokens_max() > size ? sequence.tokens_max() - size - 1 : 0;
        const uint32_t count = std::min(
            {more, draft_tokens_max_, left / (sequences - i), sequence.balance.affordable(*price)});
        sequence.draft.assign(1, sequence.tokens().back());
        if (count > 0) sequence.lookup.guess(sequence.tokens(), count, sequence.draft);
        const auto tokens = static_cast<uint32_t>(sequence.draft.size());
        if (tokens == 1 || !runner_.reserve(sequence.seq, tokens)) continue;
        row.span = {sequence.seq, sequence.draft, tokens};
        left -= tokens - 1;
    }
}

std::vector<Scheduler::Row> Scheduler::next(std::vector<Refusal>& refused) {
    admit(refused);
    const Capabilities& can = runner_.capabilities();
    Plan plan{{}, can.step_tokens_max, can.step_outputs_max};
    for (size_t i = 0; i < running_.size(); ++i)
        if (tokens_left(*running_[i]) == 1) add_row(plan, *running_[i], 1, 1);
    const bool prompts = add_slices(plan);
    // Making room for one may have taken another's place that had its row already.
    std::erase_if(plan.rows, [](const Row& row) { return row.sequence->seq == 0; });
    if (!prompts && draft_tokens_max_ > 0) add_drafts(plan);
    return std::move(plan.rows);
}

void Scheduler::note(std::span<const Row> rows, uint64_t compute_us) {
    uint32_t decode_rows = 0, prefill_tokens = 0, drafted = 0;
    for (const Row& row : rows) {
        drafted += row.drafted();
        if (row.span.outputs == row.span.tokens.size())
            ++decode_rows;
        else
            prefill_tokens += static_cast<uint32_t>(row.span.tokens.size());
    }
    if (prefill_tokens == 0) draft_pace_.note(decode_rows, drafted, compute_us);
    if (drafted == 0) pace_.note(decode_rows, prefill_tokens, compute_us);
}

uint32_t Scheduler::settle(const Row& row) {
    Sequence& sequence = *row.sequence;
    // All that was sampled is computed but the last.
    const auto right = static_cast<uint32_t>(sequence.tokens().size()) - 1;
    const uint32_t wrong = row.drafted() > 0 ? runner_.length(sequence.seq) - right : 0;
    if (wrong > 0) runner_.trim(sequence.seq, right);
    const uint32_t accepted = row.drafted() - wrong;
    sequence.balance.settle(row.drafted(), accepted);
    return accepted;
}

std::unique_ptr<Sequence> Scheduler::remove(Sequence* sequence, Keep keep) {
    const auto is_it = [&](const auto& held) { return held.get() == sequence; };
    if (const auto at = std::find_if(running_.begin(), running_.end(), is_it);
        at != running_.end()) {
        auto out = std::move(*at);
        running_.erase(at);
        runner_.close(out->seq, keep);
        out->seq = 0;
        return out;
    }
    const auto at = std::find_if(waiting_.begin(), waiting_.end(), is_it);
    CHECK(at != waiting_.end());
    auto out = std::move(*at);
    waiting_.erase(at);
    return out;
}

}  // namespace dunlin
