#include "runner/fake/fake_runner.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "base/check.h"
#include "kv/paged_sequences.h"

namespace dunlin {
namespace {

constexpr uint64_t kStart = 0xcbf29ce484222325ULL;

uint64_t extend(uint64_t digest, TokenId token) {
    digest ^= static_cast<uint32_t>(token) + 0x9e3779b97f4a7c15ULL;
    digest *= 0xbf58476d1ce4e5b9ULL;
    return digest ^ digest >> 29;
}

class FakeRunner final : public Runner {
 public:
    explicit FakeRunner(const FakeSettings& settings)
        : settings_(settings),
          state_(settings.blocks, std::vector<uint64_t>(kBlockTokens, 0)),
          sequences_({.blocks_total = settings.blocks,
                      .sequences_max = settings.sequences_max,
                      .sequence_tokens_max = settings.sequence_tokens_max},
                     [this](BlockId from, BlockId to, uint32_t) { state_[to] = state_[from]; }) {
        capabilities_.vocabulary = settings.vocabulary;
        capabilities_.sequences_max = settings.sequences_max;
        capabilities_.sequence_tokens_max =
            std::min(settings.sequence_tokens_max, settings.blocks * kBlockTokens);
        capabilities_.step_tokens_max = settings.step_tokens_max;
        capabilities_.step_outputs_max = settings.sequences_max;
        capabilities_.rollback_max = UINT32_MAX;
        capabilities_.batch_invariant = true;
        capabilities_.shares_prefixes = true;
    }

    ~FakeRunner() override { sequences_.check_integrity(); }

    const Capabilities& capabilities() const noexcept override { return capabilities_; }
    Expected<SeqId> open(const SequenceSpec& spec) override {
        return sequences_.open(spec.domain, spec.prompt, spec.tokens_max);
    }
    Match match(SeqId seq) override { return sequences_.match(seq); }
    Expected<SeqId> fork(SeqId parent, uint32_t length) override {
        return sequences_.fork(parent, length);
    }
    bool reserve(SeqId seq, uint32_t tokens) override { return sequences_.reserve(seq, tokens); }
    uint32_t trim(SeqId seq, uint32_t length) override { return sequences_.trim(seq, length); }
    void close(SeqId seq, Keep keep) override { sequences_.close(seq, keep); }
    uint32_t length(SeqId seq) const override { return sequences_.length(seq); }
    Room room() const override { return sequences_.room(); }

    Expected<StepId> launch(const Batch& batch) override {
        const uint64_t step = progress_.fetch_add(1, std::memory_order_relaxed) + 1;
        compute_us_ = settings_.step_us;
        for (const Span& span : batch.spans) compute_us_ += settings_.token_us * span.tokens.size();
        if (settings_.clock != nullptr)
            settings_.clock->advance_us(static_cast<int64_t>(compute_us_));
        else if (compute_us_ > 0)
            std::this_thread::sleep_for(std::chrono::microseconds(compute_us_));
        if (step == settings_.hang_at_step) {
            cancelled_.wait(false);
            return fail(Code::Cancelled, "the step was cancelled");
        }
        if (step == settings_.fail_at_step)
            return fail(Code::DeviceLost, "the fake device is gone");
        logits_.clear();
        outputs_.clear();
        uint32_t tokens = 0;
        for (const Span& span : batch.spans) {
            tokens += static_cast<uint32_t>(span.tokens.size());
            if (sequences_.reserved(span.seq) < span.tokens.size())
                return fail(Code::NoRoom, "a span's room was not reserved");
        }
        if (tokens > settings_.step_tokens_max) return fail(Code::Invalid, "too many tokens");
        for (const Span& span : batch.spans) compute(span);
        for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i].logits = logits_[i];
        if (step == settings_.nan_at_step && !outputs_.empty()) outputs_[0].finite = false;
        return step;
    }
    Expected<Step> collect(StepId) override { return Step{outputs_, compute_us_}; }
    void cancel() noexcept override {
        cancelled_ = true;
        cancelled_.notify_all();
    }
    uint64_t progress() const noexcept override { return progress_.load(); }
    MemoryReport memory() const noexcept override { return {}; }

 private:
    void compute(const Span& span) {
        uint32_t at = sequences_.length(span.seq);
        const auto blocks = sequences_.blocks(span.seq);
        const auto place = [&](uint32_t i) -> uint64_t& {
            return state_[blocks[i / kBlockTokens]][i % kBlockTokens];
        };
        const auto first_output = at + span.tokens.size() - span.outputs;
        for (const TokenId token : span.tokens) {
            place(at) = extend(at == 0 ? kStart : place(at - 1), token);
            if (at >= first_output) {
                std::vector<float>& row = logits_.emplace_back(settings_.vocabulary);
                for (uint32_t i = 0; i < row.size(); ++i)
                    row[i] = static_cast<float>((place(at) >> 8) % 97 + i * 31 % 61) / 60.0F;
                row[place(at) % settings_.vocabulary] = 10.0F;
                outputs_.push_back({.seq = span.seq, .position = at, .logits = {}});
            }
            ++at;
        }
        sequences_.append(span.seq, span.tokens);
    }

    FakeSettings settings_;
    Capabilities capabilities_;
    std::vector<std::vector<uint64_t>> state_;  // [block][token]
    PagedSequences sequences_;
    std::vector<std::vector<float>> logits_;
    std::vector<Output> outputs_;
    uint64_t compute_us_ = 0;
    std::atomic<uint64_t> progress_{0};
    std::atomic<bool> cancelled_{false};
};

}  // namespace

std::unique_ptr<Runner> make_fake_runner(const FakeSettings& settings) {
    return std::make_unique<FakeRunner>(settings);
}

TokenId fake_next_token(std::span<const TokenId> tokens, uint32_t vocabulary) {
    uint64_t digest = kStart;
    for (const TokenId token : tokens) digest = extend(digest, token);
    return static_cast<TokenId>(digest % vocabulary);
}

}  // namespace dunlin
