#include "engine/scheduler.h"

#include <algorithm>
#include <cmath>

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
    if (slice_.sequence == running_[index].get()) slice_ = {};
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

/// The prompt that was served longest ago, of those that have room, begins a slice of
/// part_tokens_max or of fewer that fill the steps they take. False where none does.
bool Scheduler::begin_slice(const Plan& plan, double work, uint64_t served_max) {
    const uint32_t parts = runner_.capabilities().parts;
    const uint32_t tokens_max = runner_.capabilities().part_tokens_max;
    const double steps = std::clamp(std::floor(tokens_max / work), 1.0, 1.0 * parts);
    const double tokens = work * parts / std::ceil(parts / steps);
    const uint32_t most =
        std::min({std::max(1U, static_cast<uint32_t>(tokens)), tokens_max, plan.tokens});
    while (most > 0) {
        Sequence* next = nullptr;
        for (const auto& sequence : running_)
            if (sequence->served <= served_max && tokens_left(*sequence) > 1 &&
                (next == nullptr || sequence->served < next->served))
                next = sequence.get();
        if (next == nullptr) break;
        // The end of a prompt costs what a slice before it did: most of that is for what it
        // follows.
        const bool is_end = next->served > 0;
        next->served = ++servings_;
        const uint32_t count = std::min(most, tokens_left(*next));
        if (!make_room(*next, count)) continue;
        slice_ = {next, count, is_end ? most : count};
        return true;
    }
    return false;
}

/// As many parts of the slice as that is worth. False where it is not done with them, or was begun
/// in an earlier step: then its row must be the last.
bool Scheduler::add_parts(Plan& plan, double work) {
    Sequence& sequence = *slice_.sequence;
    const uint32_t parts = runner_.capabilities().parts;
    const double worth = std::floor(work * parts / slice_.worth);
    const uint32_t begin = slice_.parts_done;
    const auto end = static_cast<uint32_t>(std::clamp(begin + worth, begin + 1.0, 1.0 * parts));
    const uint32_t left = tokens_left(sequence);
    const uint32_t outputs = end == parts && slice_.tokens == left ? 1 : 0;
    if (plan.tokens < slice_.tokens || plan.outputs < outputs) return false;
    const auto tokens = std::span(sequence.tokens()).last(left).first(slice_.tokens);
    plan.rows.push_back({&sequence, {sequence.seq, tokens, outputs, {begin, end}}});
    plan.tokens -= slice_.tokens;
    plan.outputs -= outputs;
    slice_.parts_done = end;
    if (end == parts) slice_ = {};
    return begin == 0 && end == parts;
}

/// Prompts of whole slices, one after the other, and one that stops in the middle.
void Scheduler::add_slices_in_parts(Plan& plan, double work) {
    const uint64_t served_max = servings_;
    while (slice_.sequence != nullptr || begin_slice(plan, work, served_max)) {
        const uint32_t worth = slice_.worth;
        if (!add_parts(plan, work)) return;
        work -= worth;
        if (work < 1) return;
    }
}

/// False where there is no prompt to compute.
bool Scheduler::add_slices(Plan& plan) {
    std::vector<uint32_t> lefts;
    for (const auto& sequence : running_)
        if (const uint32_t left = tokens_left(*sequence); left > 1) lefts.push_back(left);
    if (lefts.empty()) return false;
    const double work = pace_.prefill_tokens_max(static_cast<uint32_t>(plan.rows.size()));
    if (work == 0) return true;
    if (slice_.sequence != nullptr || work < runner_.capabilities().part_tokens_max) {
        add_slices_in_parts(plan, work);
        return true;
    }
    plan.tokens = std::min(plan.tokens, std::max(1U, static_cast<uint32_t>(work)));
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

std::vector<Scheduler::Row> Scheduler::plan_step() {
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

std::vector<Scheduler::Row> Scheduler::next(std::vector<Refusal>& refused) {
    admit(refused);
    while (true) {
        const size_t before = running_.size();
        auto rows = plan_step();
        // Somebody may have waited for one that has just given way, and waits no longer.
        if (!rows.empty() || running_.size() == before) return rows;
    }
}

void Scheduler::note(std::span<const Row> rows, uint64_t compute_us) {
    uint32_t decode_rows = 0, drafted = 0;
    double prefill_tokens = 0;
    const uint32_t parts = runner_.capabilities().parts;
    for (const Row& row : rows) {
        drafted += row.drafted();
        if (row.decodes()) {
            ++decode_rows;
            continue;
        }
        const Parts own = row.span.parts;
        prefill_tokens += static_cast<double>(row.span.tokens.size()) *
                          (std::min(own.end, parts) - own.begin) / parts;
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
        if (slice_.sequence == sequence) slice_ = {};
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
