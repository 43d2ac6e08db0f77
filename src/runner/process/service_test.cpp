#include "runner/process/service.h"

#include <csignal>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>

namespace dunlin {
namespace {

/// `spec` as tests/runner/child.cpp reads it.
std::unique_ptr<Service> service(const std::string& spec, uint32_t patience_ms = 10'000) {
    return std::make_unique<Service>(
        ProcessSettings{
            .command = {DUNLIN_RUNNER_CHILD, "service"}, .spec = spec, .name = "the test"},
        patience_ms);
}

pid_t child() {
    std::ifstream file("/proc/thread-self/children");
    pid_t pid = 0;
    return file >> pid ? pid : 0;
}

std::string said(const Expected<std::string>& answer) {
    return answer ? *answer : answer.error().message;
}

TEST(Service, AnswersTextsOfAnyLength) {
    const auto echo = service("echo ");
    std::string long_text(3'000'001, 'x');
    for (size_t i = 0; i < long_text.size(); i += 101) long_text[i] = static_cast<char>(i);
    for (const std::string& text : {std::string(), std::string("a\0b", 3), std::string(65'536, 'y'),
                                    std::string(65'537, 'z'), long_text})
        EXPECT_EQ(said(echo->ask(text)), "echo " + text);
}

TEST(Service, RefusesWhatIsTooLong) {
    const auto echo = service("echo ");
    const auto answer = echo->ask(std::string((size_t{64} << 20) + 1, 'x'));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::TooLarge);
    EXPECT_EQ(said(echo->ask("still there")), "echo still there");
}

TEST(Service, PassesErrorsOn) {
    EXPECT_EQ(said(service("refuse")->ask("x")), "this cannot be made");
    const auto echo = service("echo ");
    const auto refused = echo->ask("refuse");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Invalid);
    EXPECT_EQ(refused.error().message, "not this one");
    EXPECT_EQ(said(echo->ask("x")), "echo x");
}

TEST(Service, AQuestionThatEndsItCostsThatQuestion) {
    const auto echo = service("echo ");
    const auto ended = echo->ask("end");
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, Code::DeviceLost);
    EXPECT_TRUE(ended.error().message.starts_with(
        "the process of the test was ended by signal 6 (Aborted): question != \"end\""))
        << ended.error().message;
    EXPECT_EQ(said(echo->ask("x")), "echo x");
}

TEST(Service, OneThatEndedMeanwhileIsStartedAgain) {
    const auto echo = service("echo ");
    EXPECT_EQ(said(echo->ask("x")), "echo x");
    const pid_t pid = child();
    ASSERT_NE(pid, 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    siginfo_t ended{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(said(echo->ask("y")), "echo y");
}

TEST(Service, OneThatHangsIsEnded) {
    const auto echo = service("echo ", 3000);
    const auto hung = echo->ask("hang");
    ASSERT_FALSE(hung);
    EXPECT_EQ(hung.error().code, Code::DeviceLost);
    EXPECT_EQ(hung.error().message, "the process of the test gave no sign for 3000 ms");
    EXPECT_EQ(child(), 0);
    EXPECT_EQ(said(echo->ask("x")), "echo x");
}

TEST(Service, ManyMayAsk) {
    const auto echo = service("echo ");
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&, i] {
            for (int j = 0; j < 20; ++j) {
                const std::string text = std::to_string(100 * i + j);
                EXPECT_EQ(said(echo->ask(text)), "echo " + text);
            }
        });
    for (std::thread& thread : threads) thread.join();
}

TEST(Service, NothingStaysBehind) {
    {
        const auto echo = service("echo ");
        EXPECT_EQ(said(echo->ask("x")), "echo x");
        EXPECT_NE(child(), 0);
    }
    EXPECT_EQ(child(), 0);
}

}  // namespace
}  // namespace dunlin
