// The room is checked against what it stands for: a model whose "state" of a token is a digest of
// everything before it. Wherever a sequence says that a token has its state, the digest must be
// there, whatever was shared, copied, evicted or rolled back on the way.

#include "kv/paged_sequences.h"

#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace dunlin {
namespace {

class Simulation {
 public:
    Simulation(uint32_t blocks, uint32_t sequences_max)
        : memory_(blocks, std::vector<uint64_t>(kBlockTokens, kPoison)),
          paged_(
              {.blocks_total = blocks, .sequences_max = sequences_max, .sequence_tokens_max = 200},
              [this](BlockId from, BlockId to, uint32_t tokens) {
                  std::copy_n(memory_[from].begin(), tokens, memory_[to].begin());
                  std::fill(memory_[to].begin() + tokens, memory_[to].end(), kPoison);
              }) {}

    SeqId open(uint64_t domain, std::vector<TokenId> prompt, uint32_t tokens_max) {
        const auto seq = paged_.open({domain, 1}, prompt, tokens_max);
        if (!seq) return 0;
        sequences_[*seq] = {domain, std::move(prompt), {}, false};
        return *seq;
    }
    Match match(SeqId seq) {
        const Match match = paged_.match(seq);
        auto& s = sequences_.at(seq);
        s.tokens.assign(s.prompt.begin(), s.prompt.begin() + match.length);
        EXPECT_LT(match.length, s.prompt.size());
        return match;
    }
    bool compute(SeqId seq, const std::vector<TokenId>& tokens) {
        if (!paged_.reserve(seq, static_cast<uint32_t>(tokens.size()))) return false;
        auto& s = sequences_.at(seq);
        const auto blocks = paged_.blocks(seq);
        for (const TokenId token : tokens) {
            s.tokens.push_back(token);
            const size_t at = s.tokens.size() - 1;
            memory_[blocks[at / kBlockTokens]][at % kBlockTokens] = state(s, at);
        }
        paged_.append(seq, tokens);
        s.launched = true;
        return true;
    }
    void trim(SeqId seq, uint32_t length) {
        sequences_.at(seq).tokens.resize(paged_.trim(seq, length));
    }
    SeqId fork(SeqId parent, uint32_t length) {
        const auto child = paged_.fork(parent, length);
        if (!child) return 0;
        auto copy = sequences_.at(parent);
        copy.tokens.resize(paged_.length(*child));
        copy.launched = true;
        sequences_[*child] = std::move(copy);
        return *child;
    }
    void close(SeqId seq, Keep keep) {
        paged_.close(seq, keep);
        sequences_.erase(seq);
    }

    void check() const {
        paged_.check_integrity();
        for (const auto& [seq, s] : sequences_) {
            ASSERT_EQ(paged_.length(seq), s.tokens.size());
            const auto blocks = paged_.blocks(seq);
            for (size_t at = 0; at < s.tokens.size(); ++at)
                ASSERT_EQ(memory_[blocks[at / kBlockTokens]][at % kBlockTokens], state(s, at));
        }
    }

    struct Sequence {
        uint64_t domain;
        std::vector<TokenId> prompt, tokens;
        bool launched;
    };
    std::map<SeqId, Sequence> sequences_;

 private:
    static constexpr uint64_t kPoison = 0xdeaddeaddeaddeadULL;
    static uint64_t state(const Sequence& s, size_t at) {
        uint64_t digest = s.domain * 1000003;
        for (size_t i = 0; i <= at; ++i)
            digest = (digest ^ static_cast<uint32_t>(s.tokens[i])) * 0x100000001b3ULL + 1;
        return digest;
    }
    std::vector<std::vector<uint64_t>> memory_;

 public:
    PagedSequences paged_;
};

std::vector<TokenId> counting(TokenId from, size_t n) {
    std::vector<TokenId> tokens(n);
    for (size_t i = 0; i < n; ++i) tokens[i] = from + static_cast<TokenId>(i);
    return tokens;
}

TEST(PagedSequences, FindsWholeAndPartialPrefixesOfTheSameDomainOnly) {
    Simulation room(20, 4);
    const SeqId first = room.open(1, counting(0, 40), 60);
    EXPECT_EQ(room.match(first).why, Reuse::FirstUse);
    ASSERT_TRUE(room.compute(first, counting(0, 40)));
    room.close(first, Keep::Cached);

    const SeqId again = room.open(1, counting(0, 40), 60);
    EXPECT_EQ(room.match(again).length, 32U);  // two whole blocks; the third never filled
    auto other_tail = counting(0, 40);
    other_tail[20] = 7777;
    const SeqId diverged = room.open(1, other_tail, 60);
    const Match partly = room.match(diverged);
    EXPECT_EQ(partly.length, 20U);  // 16, and 4 tokens copied from the second block
    EXPECT_EQ(partly.why, Reuse::Diverged);
    const SeqId stranger = room.open(2, counting(0, 40), 60);
    EXPECT_EQ(room.match(stranger).length, 0U);
    room.check();
}

TEST(PagedSequences, ACompletePromptLeavesOneTokenToCompute) {
    Simulation room(20, 4);
    const SeqId first = room.open(1, counting(0, 33), 60);
    ASSERT_TRUE(room.compute(first, counting(0, 33)));
    const SeqId second = room.open(1, counting(0, 32), 60);
    const Match match = room.match(second);
    EXPECT_EQ(match.length, 31U);
    EXPECT_EQ(match.why, Reuse::Complete);
    room.check();
}

TEST(PagedSequences, NamesTheSequenceThatIsComputingTheSamePrompt) {
    Simulation room(20, 4);
    const SeqId first = room.open(1, counting(0, 64), 80);
    ASSERT_TRUE(room.compute(first, counting(0, 16)));
    const SeqId second = room.open(1, counting(0, 64), 80);
    Match match = room.match(second);
    EXPECT_EQ(match.wait_for, first);
    EXPECT_EQ(match.wait_length, 48U);
    ASSERT_TRUE(room.compute(first, counting(16, 48)));
    match = room.match(second);
    EXPECT_EQ(match.wait_for, 0U);
    EXPECT_EQ(match.length, 63U);
    room.check();
}

TEST(PagedSequences, RefusesWhatCanNeverFitAndWhatDoesNotFitNow) {
    Simulation room(4, 2);
    EXPECT_EQ(room.paged_.open({}, {}, 65).error().code, Code::TooLong);
    const SeqId first = room.open(1, counting(0, 40), 48);
    const SeqId second = room.open(1, counting(100, 40), 48);
    EXPECT_EQ(room.paged_.open({}, {}, 10).error().code, Code::NoRoom);
    EXPECT_TRUE(room.compute(first, counting(0, 40)));
    EXPECT_FALSE(room.compute(second, counting(100, 40)));
    EXPECT_FALSE(room.paged_.reserve(first, 9));  // above its own tokens_max
    room.close(first, Keep::Cached);
    EXPECT_EQ(room.paged_.room().tokens_cached, 32U);
    EXPECT_TRUE(room.compute(second, counting(100, 40)));  // evicts
    room.check();
}

TEST(PagedSequences, RandomHistories) {
    for (uint32_t seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
        Simulation room(4 + below(30), 1 + below(8));
        for (int step = 0; step < 150; ++step) {
            std::vector<SeqId> open;
            for (const auto& [seq, s] : room.sequences_) open.push_back(seq);
            const uint32_t action = below(10);
            if (open.empty() || action < 2) {
                // Few different beginnings, so that prefixes meet.
                auto prompt = counting(static_cast<TokenId>(below(2) * 1000), 1 + below(60));
                for (size_t i = below(60); i < prompt.size(); ++i) prompt[i] += 5000;
                const auto size = static_cast<uint32_t>(prompt.size());
                const SeqId seq = room.open(below(2), std::move(prompt), size + below(60));
                if (seq != 0 && below(4) != 0) room.match(seq);
            } else {
                const SeqId seq = open[below(static_cast<uint32_t>(open.size()))];
                const auto& s = room.sequences_.at(seq);
                const auto length = static_cast<uint32_t>(s.tokens.size());
                if (action < 6) {
                    std::vector<TokenId> tokens;
                    for (uint32_t i = 0, n = 1 + below(30); i < n; ++i)
                        tokens.push_back(length + i < s.prompt.size()
                                             ? s.prompt[length + i]
                                             : static_cast<TokenId>(below(3)));
                    room.compute(seq, tokens);
                } else if (action == 6) {
                    room.trim(seq, below(length + 1));
                } else if (action == 7) {
                    room.fork(seq, below(length + 1));
                } else if (action == 8 && !s.launched) {
                    room.match(seq);
                } else {
                    room.close(seq, below(3) == 0 ? Keep::Nothing : Keep::Cached);
                }
            }
            room.check();
            if (HasFatalFailure()) FAIL() << "seed " << seed << " step " << step;
        }
    }
}

}  // namespace
}  // namespace dunlin
