#include "chat/context.h"

#include "gtest/gtest.h"

namespace dunlin {
namespace {

/// A message costs as many tokens as its text has bytes.
class CountingEngine final : public Engine {
 public:
    struct Counted final : Prepared {
        uint32_t tokens = 0, answer = 0;
        uint32_t prompt_tokens() const override { return tokens; }
        uint32_t max_tokens() const override { return answer; }
    };
    Expected<std::unique_ptr<Prepared>> prepare(const Request& request, std::stop_token) override {
        ++prepared;
        last = std::get<std::vector<Message>>(request.prompt);
        auto out = std::make_unique<Counted>();
        for (const Message& message : last)
            out->tokens += static_cast<uint32_t>(message.content.size());
        if (out->tokens >= capabilities_.sequence_tokens_max) return fail(Code::TooLong, "long");
        out->answer = capabilities_.sequence_tokens_max - out->tokens;
        return out;
    }
    std::shared_ptr<Generation> submit(std::unique_ptr<Prepared>, const Admission&) override {
        return nullptr;
    }
    Expected<std::vector<TokenId>> tokenize(std::string_view, bool) const override { return {}; }
    Expected<std::string> detokenize(std::span<const TokenId>) const override { return {}; }
    const Capabilities& capabilities() const override { return capabilities_; }
    EngineState state() const override { return {}; }
    void drain(int64_t) override {}

    void set_context(uint32_t tokens) { capabilities_.sequence_tokens_max = tokens; }
    uint32_t prepared = 0;
    std::vector<Message> last;

 private:
    Capabilities capabilities_;
};

/// A system message and `count` messages of ten tokens, questions and answers in turn.
Request conversation(uint32_t count) {
    std::vector<Message> messages{{"system", "be kind..."}};
    for (uint32_t i = 0; i < count; ++i)
        messages.push_back({i % 2 == 0 ? "user" : "assistant", "0123456789"});
    Request out;
    out.prompt = std::move(messages);
    return out;
}

TEST(OmittedMessages, MoveInStepsOfTen) {
    EXPECT_EQ(omitted_messages(20, 20), 0U);
    EXPECT_EQ(omitted_messages(29, 20), 0U);
    EXPECT_EQ(omitted_messages(30, 20), 10U);
    EXPECT_EQ(omitted_messages(39, 20), 10U);
    EXPECT_EQ(omitted_messages(1000, 0), 0U);
    for (uint32_t count = 0; count < 200; ++count) {
        const uint32_t kept = count - omitted_messages(count, 20);
        EXPECT_TRUE(kept == count || (kept >= 20 && kept < 30)) << count;
    }
}

TEST(PrepareFitting, LeavesOutAsLittleAsItTakes) {
    for (const uint32_t context : {100U, 150U, 330U, 500U, 2000U}) {
        CountingEngine engine;
        engine.set_context(context);
        const auto fitted = prepare_fitting(engine, conversation(101), 0, true, {});
        ASSERT_TRUE(fitted) << context;
        EXPECT_EQ(engine.last.front().role, "system");
        EXPECT_LE(engine.prepared, 9U);
        const uint32_t used = 10 + 10 * (101 - fitted->omitted);
        EXPECT_EQ(fitted->prepared->prompt_tokens(), used);
        EXPECT_LE(used + std::min(256U, context / 4), context);
        if (fitted->omitted == 0) continue;
        // Ten messages more, or two where few are left, would not have fitted.
        const uint32_t step = 101 - fitted->omitted >= 12 ? 100 : 20;
        EXPECT_GT(used + step + std::min(256U, context / 4), context);
    }
}

TEST(PrepareFitting, BeginsWithNoAnswerAndKeepsTheLast) {
    CountingEngine engine;
    engine.set_context(55);  // room for the last three
    Request request = conversation(31);
    auto& messages = std::get<std::vector<Message>>(request.prompt);
    messages[29].role = "tool";  // the result of the call before it
    const auto fitted = prepare_fitting(engine, request, 0, true, {});
    ASSERT_TRUE(fitted);
    EXPECT_EQ(fitted->omitted, 30U) << "the result and its answer go with their question";
    EXPECT_EQ(fitted->prepared->prompt_tokens(), 20U);
}

TEST(PrepareFitting, RefusesWhatCannotBeTrimmed) {
    CountingEngine engine;
    engine.set_context(100);
    EXPECT_EQ(prepare_fitting(engine, conversation(31), 0, false, {}).error().code, Code::TooLong);
    EXPECT_EQ(engine.prepared, 1U);
    engine.set_context(15);
    EXPECT_EQ(prepare_fitting(engine, conversation(31), 0, true, {}).error().code, Code::TooLong);
    engine.set_context(22);
    EXPECT_TRUE(prepare_fitting(engine, conversation(31), 0, true, {})) << "little room, but some";
}

}  // namespace
}  // namespace dunlin
