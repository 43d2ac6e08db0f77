#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/model_config.h"
#include "gtest/gtest.h"
#include "runner/fake/fake_runner.h"
#include "runner/llamacpp/devices.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/native/native_runner.h"
#include "runner/process/process_runner.h"
#include "runner/runner.h"

// For the tests of the Runner contract: every implementation in a size that makes room scarce, and
// an oracle, a second Runner of the same kind on which a sequence is always alone.

namespace dunlin::conformance {

inline constexpr uint32_t kSequences = 4, kSequenceTokens = 96, kStepTokens = 24;
inline constexpr uint32_t kPoolTokens = 320;  // less than 4 x 96
inline constexpr uint32_t kVocabulary = 131;

/// One implementation in one setting. `calm`: without the failures that a setting may ask for.
struct Subject {
    std::string name;
    std::function<std::unique_ptr<Runner>(bool calm)> make;
};
inline std::ostream& operator<<(std::ostream& out, const Subject& subject) {
    return out << subject.name;
}
inline std::string name_of(const testing::TestParamInfo<Subject>& info) {
    return info.param.name;
}

inline std::string tiny(const char* name) {
    return std::string(DUNLIN_TEST_DATA) + "/" + name;
}

inline std::unique_ptr<Runner> unwrap(Expected<std::unique_ptr<Runner>> made) {
    if (made) return std::move(*made);
    ADD_FAILURE() << made.error().message;
    return nullptr;
}

inline std::unique_ptr<Runner> make_native(const char* name, uint32_t threads) {
    const auto file = GgufFile::open(tiny(name));
    if (!file) return unwrap(std::unexpected(file.error()));
    const auto config = model_config_from_gguf(**file);
    if (!config) return unwrap(std::unexpected(config.error()));
    return unwrap(make_native_runner(*config, **file,
                                     {.threads = threads,
                                      .kv_tokens = kPoolTokens,
                                      .sequences_max = kSequences,
                                      .step_tokens_max = kStepTokens,
                                      .context_tokens_max = kSequenceTokens}));
}

/// A Runner in a process of its own; `spec` as tests/runner/child.cpp reads it.
inline std::unique_ptr<Runner> make_hosted(const std::string& spec) {
    return unwrap(
        make_process_runner({.command = {DUNLIN_RUNNER_CHILD}, .spec = spec, .name = "a test"}));
}
inline std::string spec_of(const FakeSettings& fake) {
    std::string out = "fake";
    for (const uint64_t one :
         {uint64_t{fake.vocabulary}, uint64_t{fake.blocks}, uint64_t{fake.sequences_max},
          uint64_t{fake.sequence_tokens_max}, uint64_t{fake.step_tokens_max},
          uint64_t{fake.step_us}, fake.break_every_steps, uint64_t{fake.fixed_slots},
          uint64_t{fake.rollback_max}, uint64_t{fake.parts}})
        out += " " + std::to_string(one);
    return out;
}

inline FakeSettings small_fake() {
    return {.vocabulary = kVocabulary,
            .blocks = kPoolTokens / 16,
            .sequences_max = kSequences,
            .sequence_tokens_max = kSequenceTokens,
            .step_tokens_max = kStepTokens,
            .parts = 5};
}

inline std::vector<Subject> subjects() {
    const FakeSettings fake = small_fake();
    const auto faking = [](FakeSettings settings) {
        return [settings](bool calm) {
            FakeSettings used = settings;
            if (calm) used.break_every_steps = 0;
            return make_fake_runner(used);
        };
    };
    FakeSettings breaking = fake, slots = fake, recurrent = fake, short_rollback = fake;
    breaking.break_every_steps = 5;
    slots.fixed_slots = recurrent.fixed_slots = short_rollback.fixed_slots = true;
    recurrent.rollback_max = 0;
    short_rollback.rollback_max = 8;
    FakeSettings breaking_slots = recurrent;
    breaking_slots.break_every_steps = 3;
    const auto hosting = [](FakeSettings settings) {
        return [settings](bool calm) {
            FakeSettings used = settings;
            if (calm) used.break_every_steps = 0;
            return make_hosted(spec_of(used));
        };
    };
    std::vector<Subject> all{
        {"Hosted", hosting(fake)},
        {"HostedSlots", hosting(slots)},
        {"HostedRecurrentThatBreaks", hosting(breaking_slots)},
        {"Fake", faking(fake)},
        {"FakeThatBreaks", faking(breaking)},
        {"FakeSlots", faking(slots)},
        {"FakeRecurrent", faking(recurrent)},
        {"FakeShortRollback", faking(short_rollback)},
        {"FakeRecurrentThatBreaks", faking(breaking_slots)},
        {"NativePlain", [](bool) { return make_native("tiny_plain.gguf", 1); }},
        {"NativeQuantized", [](bool) { return make_native("tiny_quantized.gguf", 2); }}};
#ifdef DUNLIN_LLAMACPP
    const auto library = [&](const std::string& name, const char* file, LlamaCppSettings settings) {
        settings.threads = 1;
        settings.sequences_max = kSequences;
        settings.step_tokens_max = kStepTokens;
        settings.context_tokens_max = kSequenceTokens;
        all.push_back({"LlamaCpp" + name, [file, settings](bool) {
                           return unwrap(make_llamacpp_runner(tiny(file), settings));
                       }});
    };
    library("Plain", "tiny_plain.gguf", {.flash_attention = FlashAttention::Off});
    library("PlainFlash", "tiny_plain.gguf", {.flash_attention = FlashAttention::On});
    library("Quantized", "tiny_quantized.gguf", {.flash_attention = FlashAttention::Off});
    library("QuantizedFlash", "tiny_quantized.gguf", {.flash_attention = FlashAttention::On});
    library("Sliding", "tiny_sliding.gguf", {});
    library("SlidingKv8", "tiny_sliding.gguf", {.kv_type = KvType::Int8});
    library("Recurrent", "tiny_recurrent.gguf", {});
    for (const LlamaCppDevice& device : llamacpp_devices()) {
        library("PlainOn_" + device.name, "tiny_plain.gguf", {.device = device.name});
        library("SlidingPartlyOn_" + device.name, "tiny_sliding.gguf",
                {.device = device.name, .device_layers = 2});
    }
    all.push_back({"HostedLlamaCpp", [](bool) {
                       return make_hosted("llama.cpp " + tiny("tiny_plain.gguf") + " " +
                                          std::to_string(kSequenceTokens) + " " +
                                          std::to_string(kSequences) + " " +
                                          std::to_string(kStepTokens));
                   }});
#endif
    return all;
}

using Row = std::vector<float>;

/// `count` arbitrary tokens; the same for the same seed, and a shorter count gives a beginning.
inline std::vector<TokenId> tokens_of(uint32_t seed, uint32_t count) {
    std::vector<TokenId> tokens(count);
    for (uint32_t i = 0; i < count; ++i)
        tokens[i] = static_cast<TokenId>((i * 7919U + seed * 104729U + i * i * 31U) % kVocabulary);
    return tokens;
}

/// A runner under test beside its oracle.
class Bench {
 public:
    explicit Bench(const Subject& subject)
        : runner(subject.make(false)), oracle_(subject.make(true)) {}

    const Capabilities& can() const { return runner->capabilities(); }

    SeqId open(uint64_t domain, std::span<const TokenId> prompt,
               uint32_t tokens_max = kSequenceTokens) {
        const auto seq = runner->open({{domain, 1}, prompt, tokens_max});
        EXPECT_TRUE(seq) << seq.error().message;
        return seq.value_or(0);
    }

    /// Computes what the sequence lacks of `all` as a caller would: in slices, going on from
    /// length() after a failed step. Returns the logits behind the last token.
    Row advance(SeqId seq, std::span<const TokenId> all, uint32_t slice = kStepTokens) {
        return advance(*runner, seq, all, slice);
    }

    /// The logits behind `all`, of a sequence that is alone and new.
    const Row& expected(std::span<const TokenId> all) {
        Row& row = known_[{all.begin(), all.end()}];
        if (!row.empty()) return row;
        const auto seq = oracle_->open({{99, 9}, all, kSequenceTokens});
        EXPECT_TRUE(seq);
        if (!seq) return row;
        row = advance(*oracle_, *seq, all, kStepTokens);
        oracle_->close(*seq, Keep::Nothing);
        return row;
    }

    /// Bit for bit where the runner promises that, else close.
    void expect_same(std::span<const float> row, std::span<const TokenId> all) {
        const Row& other = expected(all);
        ASSERT_EQ(row.size(), other.size());
        if (can().batch_invariant) {
            EXPECT_TRUE(std::equal(row.begin(), row.end(), other.begin()))
                << "the logits behind " << all.size() << " tokens differ";
            return;
        }
        const auto [low, high] = std::minmax_element(other.begin(), other.end());
        for (size_t i = 0; i < row.size(); ++i)
            ASSERT_NEAR(row[i], other[i], 0.03F * (*high - *low)) << i << " of " << all.size();
    }
    void expect_same_next(SeqId seq, std::span<const TokenId> all, uint32_t slice = kStepTokens) {
        expect_same(advance(seq, all, slice), all);
        EXPECT_EQ(runner->length(seq), all.size());
    }

    std::unique_ptr<Runner> runner;

 private:
    static Row advance(Runner& on, SeqId seq, std::span<const TokenId> all, uint32_t slice) {
        Row row;
        for (int tries = 0; on.length(seq) < all.size(); ++tries) {
            if (tries > 1000) return ADD_FAILURE() << "no step ever succeeds", row;
            const uint32_t at = on.length(seq);
            const auto next = all.subspan(at, std::min<size_t>(slice, all.size() - at));
            const bool last = at + next.size() == all.size();
            if (!on.reserve(seq, static_cast<uint32_t>(next.size())))
                return ADD_FAILURE() << "no room for " << next.size() << " tokens", row;
            const Span span{seq, next, last ? 1U : 0U};
            const auto step = on.launch({{&span, 1}});
            if (!step) return ADD_FAILURE() << step.error().message, row;
            const auto done = on.collect(*step);
            if (done && last)
                row.assign(done->outputs[0].logits.begin(), done->outputs[0].logits.end());
        }
        return row;
    }

    std::unique_ptr<Runner> oracle_;
    std::map<std::vector<TokenId>, Row> known_;
};

}  // namespace dunlin::conformance
