// Random histories: sequences open, match, compute in company, fork, roll back and close in any
// order, with room scarce and, on some Runners, steps that break half-way. All that is known about
// a sequence is which tokens it was given; its length and the logits behind it must be those.

#include <random>

#include "runner/conformance.h"

namespace dunlin::conformance {
namespace {

class History {
 public:
    History(const Subject& subject, uint32_t seed) : bench_(subject), random_(seed) {}

    void play(int events) {
        for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) {
            switch (below(10)) {
                case 0:
                case 1:
                    open();
                    break;
                case 2:
                    fork();
                    break;
                case 3:
                    trim();
                    break;
                case 4:
                    close();
                    break;
                default:
                    step();
            }
            check();
        }
        while (!known_.empty()) close();
        check();
        EXPECT_EQ(runner_.room().tokens_free, runner_.room().tokens_total);
        EXPECT_GT(rows_, static_cast<uint64_t>(events) / 10) << "hardly anything was computed";
        if (bench_.can().parts > 1) EXPECT_GT(stops_, static_cast<uint64_t>(events) / 50);
    }

 private:
    struct Known {
        uint64_t domain = 0;
        std::vector<TokenId> prompt, tokens;  // tokens: whose state the runner must have
        uint32_t tokens_max = 0;
    };

    uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_()) % bound; }
    auto any() { return std::next(known_.begin(), below(static_cast<uint32_t>(known_.size()))); }

    void open() {
        Known made;
        made.domain = below(2);
        // Few beginnings, so that prefixes meet; some part from them on the way.
        made.prompt = tokens_of(below(2), 1 + below(70));
        if (below(2) == 0) made.prompt[below(static_cast<uint32_t>(made.prompt.size()))] = 5;
        made.tokens_max = static_cast<uint32_t>(made.prompt.size()) + below(27);
        const auto seq = runner_.open({{made.domain, 1}, made.prompt, made.tokens_max});
        if (known_.size() == kSequences) {
            ASSERT_FALSE(seq);
            EXPECT_EQ(seq.error().code, Code::NoRoom);
            return;
        }
        ASSERT_TRUE(seq) << seq.error().message;
        ASSERT_FALSE(known_.contains(*seq));
        for (uint32_t times = below(3); times > 0; --times) {
            const Match match = runner_.match(*seq);
            ASSERT_EQ(match.length, runner_.length(*seq));
            ASSERT_LT(match.length, made.prompt.size());
            if (match.wait_for != 0) {
                ASSERT_TRUE(bench_.can().shares_prefixes);
                ASSERT_TRUE(known_.contains(match.wait_for));
                ASSERT_GT(match.wait_length, match.length);
            }
        }
        made.tokens.assign(made.prompt.begin(), made.prompt.begin() + runner_.length(*seq));
        known_[*seq] = std::move(made);
    }

    void fork() {
        if (known_.empty()) return;
        const auto& [parent, known] = *any();
        const uint32_t length = below(static_cast<uint32_t>(known.tokens.size()) + 1);
        const auto child = runner_.fork(parent, length);
        if (known_.size() == kSequences) {
            ASSERT_FALSE(child);
            EXPECT_EQ(child.error().code, Code::NoRoom);
            return;
        }
        ASSERT_TRUE(child) << child.error().message;
        ASSERT_LE(runner_.length(*child), length);
        Known made = known;
        made.tokens.resize(runner_.length(*child));
        known_[*child] = std::move(made);
    }

    void trim() {
        if (known_.empty()) return;
        auto& [seq, known] = *any();
        const auto before = static_cast<uint32_t>(known.tokens.size());
        const uint32_t asked = below(2) == 0 ? before - std::min(before, below(9)) : below(100);
        if (stopped_.seq == seq && asked < before) stopped_ = {};
        const uint32_t left = runner_.trim(seq, asked);
        ASSERT_LE(left, std::min(asked, before));
        if (asked >= before) ASSERT_EQ(left, before);
        known.tokens.resize(left);
    }

    void close() {
        if (known_.empty()) return;
        const auto one = any();
        if (stopped_.seq == one->first) stopped_ = {};
        runner_.close(one->first, below(3) == 0 ? Keep::Nothing : Keep::Cached);
        known_.erase(one);
    }

    void step() {
        std::vector<std::vector<TokenId>> tokens;
        std::vector<Span> spans;
        uint32_t outputs = 0, left = kStepTokens;
        const bool goes_on =
            stopped_.seq != 0 && below(4) > 0 &&
            runner_.reserve(stopped_.seq, static_cast<uint32_t>(stopped_.tokens.size()));
        if (goes_on) left -= static_cast<uint32_t>(stopped_.tokens.size());
        tokens.reserve(known_.size());
        for (const auto& [seq, known] : known_) {
            if (goes_on && seq == stopped_.seq) continue;
            const auto length = static_cast<uint32_t>(known.tokens.size());
            const uint32_t count =
                std::min({1 + below(below(2) == 0 ? 1 : 20), left, known.tokens_max - length});
            if (count == 0 || below(4) == 0 || !runner_.reserve(seq, count)) continue;
            auto& next = tokens.emplace_back();
            for (uint32_t i = length; i < length + count; ++i)
                next.push_back(i < known.prompt.size() ? known.prompt[i]
                                                       : static_cast<TokenId>(below(7)));
            const uint32_t wanted = outputs < bench_.can().step_outputs_max ? below(2) : 0;
            spans.push_back({seq, next, wanted});
            outputs += wanted;
            left -= count;
        }
        std::shuffle(spans.begin(), spans.end(), random_);
        if (goes_on) spans.push_back({stopped_.seq, stopped_.tokens, 0, {stopped_.parts_done}});
        if (spans.empty()) return;
        cut(spans.back());
        outputs = 0;
        for (const Span& span : spans) outputs += span.outputs;
        const auto launched = runner_.launch({spans});
        ASSERT_TRUE(launched) << launched.error().message;
        const auto done = runner_.collect(*launched);
        for (const Span& span : spans) {
            auto& own = known_.at(span.seq).tokens;
            const size_t grown = runner_.length(span.seq) - own.size();
            const size_t due = span.parts.end < bench_.can().parts ? 0 : span.tokens.size();
            ASSERT_LE(grown, due);
            if (done) ASSERT_EQ(grown, due);
            own.insert(own.end(), span.tokens.begin(),
                       span.tokens.begin() + static_cast<long>(grown));
        }
        note_stop(spans, done.has_value());
        if (!done) return;
        ASSERT_EQ(done->outputs.size(), outputs);
        for (const Output& output : done->outputs) {
            const auto& own = known_.at(output.seq).tokens;
            ASSERT_EQ(output.position + 1, own.size());
            bench_.expect_same(output.logits, own);
            ++rows_;
        }
    }

    /// Lets the step's last span stop at some part, or end with its last.
    void cut(Span& span) {
        const Capabilities& can = bench_.can();
        if (can.parts == 1 || span.tokens.size() > can.part_tokens_max || below(2) == 0) return;
        const uint32_t left = can.parts - span.parts.begin;
        const uint32_t count = 1 + below(left);
        if (count == left) return;
        span.parts.end = span.parts.begin + count;
        span.outputs = 0;
    }
    void note_stop(std::span<const Span> spans, bool done) {
        for (const Span& span : spans)
            if (!done || span.seq == stopped_.seq) stopped_.seq = 0;
        const Span& last = spans.back();
        if (!done || last.parts.end >= bench_.can().parts) return;
        stops_ += 1;
        stopped_ = {last.seq, {last.tokens.begin(), last.tokens.end()}, last.parts.end};
    }

    void check() {
        for (const auto& [seq, known] : known_)
            ASSERT_EQ(runner_.length(seq), known.tokens.size()) << seq;
        const Room room = runner_.room();
        ASSERT_LE(room.tokens_cached, room.tokens_free);
        ASSERT_LE(room.tokens_free, room.tokens_total);
        ASSERT_EQ(room.sequences_free, kSequences - known_.size());
    }

    Bench bench_;
    Runner& runner_ = *bench_.runner;
    std::mt19937 random_;
    std::map<SeqId, Known> known_;
    uint64_t rows_ = 0, stops_ = 0;
    struct Stopped {
        SeqId seq = 0;  // 0: none
        std::vector<TokenId> tokens;
        uint32_t parts_done = 0;
    } stopped_;  // the span that the runner keeps between its parts
};

class RunnerHistories : public testing::TestWithParam<Subject> {};

TEST_P(RunnerHistories, LengthsAndLogitsAreThoseOfTheTokens) {
    const std::string& name = GetParam().name;
    const bool fake = name.starts_with("Fake"), slow = name.starts_with("LlamaCpp");
    const uint32_t seeds = fake ? 200 : slow ? 3 : 8;
    for (uint32_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
        SCOPED_TRACE(seed);
        History(GetParam(), seed).play(fake ? 200 : slow ? 80 : 120);
    }
}

INSTANTIATE_TEST_SUITE_P(All, RunnerHistories, testing::ValuesIn(subjects()), name_of);

}  // namespace
}  // namespace dunlin::conformance
