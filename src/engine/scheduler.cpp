#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace dunlin {

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

std::vector<Scheduler::Row> Scheduler::next(std::vector<Refusal>& refused) {
    admit(refused);
    const Capabilities& can = runner_.capabilities();
    std::vector<Row> rows;
    uint32_t tokens_left = can.step_tokens_max;
    uint32_t outputs_left = can.step_outputs_max;
    for (const bool decoding : {true, false}) {
        const bool others = !rows.empty();
        // By index, because making room takes sequences off the end.
        for (size_t i = 0; i < running_.size() && tokens_left > 0 && outputs_left > 0; ++i) {
            Sequence& sequence = *running_[i];
            if (sequence.waits_for != 0 && !attach(sequence)) continue;
            const auto& tokens = sequence.tokens();
            const uint32_t done = runner_.length(sequence.seq);
            const auto left = static_cast<uint32_t>(tokens.size()) - done;
            if ((left == 1) != decoding) continue;
            uint32_t count = std::min(left, tokens_left);
            if (!decoding && others) count = std::min(count, slice_tokens_max_);
            if (!make_room(sequence, count)) continue;
            const uint32_t outputs = count == left ? 1 : 0;
            rows.push_back(
                {&sequence, {sequence.seq, std::span(tokens).subspan(done, count), outputs}});
            tokens_left -= count;
            outputs_left -= outputs;
        }
    }
    // Making room for one may have taken another's place that had its row already.
    std::erase_if(rows, [](const Row& row) { return row.sequence->seq == 0; });
    return rows;
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
