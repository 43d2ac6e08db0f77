#include "net/fetch_status.h"

#include <gtest/gtest.h>

#include "net/listener.h"

namespace dunlin {
namespace {

using std::chrono::milliseconds;

/// A server that answers every request with what the test wants; not at all for status 0.
class FetchStatusTest : public testing::Test {
 protected:
    void SetUp() override {
        NetHandlers handlers{
            .serve =
                [this](const std::shared_ptr<Exchange>& exchange) {
                    asked_ = exchange->request().target;
                    if (status_ == 0)
                        kept_ = exchange;
                    else
                        exchange->respond({.status = status_, .body = body_});
                },
            .refuse = [](const HttpRequest&, int status,
                         std::string_view) { return HttpResponse{.status = status}; },
            .served = [](const Served&) {},
        };
        auto started = Listener::start({}, std::move(handlers));
        ASSERT_TRUE(started) << started.error().message;
        listener_ = std::move(*started);
        place_ = {"127.0.0.1", listener_->port()};
    }

    int status_ = 200;
    std::string body_ = "{}", asked_;
    std::shared_ptr<Exchange> kept_;
    std::unique_ptr<Listener> listener_;
    HttpPlace place_;
};

TEST_F(FetchStatusTest, TheStatusAndTheBodyComeBack) {
    for (const int status : {200, 503}) {
        status_ = status;
        body_ = std::string(30'000, 'x');
        const auto answer = fetch_status(place_, "/readiness", milliseconds(5000));
        ASSERT_TRUE(answer) << answer.error().message;
        EXPECT_EQ(answer->status, status);
        EXPECT_EQ(answer->body, body_);
        EXPECT_EQ(asked_, "/readiness");
    }
}

TEST_F(FetchStatusTest, AServerThatDoesNotAnswerCostsTheTimeout) {
    status_ = 0;
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = fetch_status(place_, "/", milliseconds(100));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::DeadlineExceeded);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(5000));
}

TEST_F(FetchStatusTest, AnAnswerWithoutEndIsCut) {
    body_ = std::string(100'000, 'x');
    const auto answer = fetch_status(place_, "/", milliseconds(5000));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::TooLarge);
}

TEST_F(FetchStatusTest, WhereNobodyListensIsAnError) {
    listener_.reset();
    const auto answer = fetch_status(place_, "/", milliseconds(5000));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::Io);
    EXPECT_NE(answer.error().message.find("127.0.0.1:"), std::string::npos);
}

TEST(HttpPlaceTest, AddressesAndLocalhostAreRead) {
    const auto read = [](std::string_view url) {
        const auto place = parse_http_place(url);
        return place ? place->host + " " + std::to_string(place->port) : "refused";
    };
    EXPECT_EQ(read("http://127.0.0.1:3000"), "127.0.0.1 3000");
    EXPECT_EQ(read("http://localhost:1/"), "127.0.0.1 1");
    EXPECT_EQ(read("http://[::1]:65535"), "::1 65535");
    EXPECT_EQ(read("http://10.0.0.1"), "10.0.0.1 80");
    for (const char* wrong :
         {"", "http://", "https://127.0.0.1:3000", "127.0.0.1:3000", "http://127.0.0.1:0",
          "http://127.0.0.1:65536", "http://127.0.0.1:", "http://127.0.0.1:80/metrics",
          "http://example.com:80", "http://[::1", "http://[::1]3000", "http://127.0.0.1:30 00"})
        EXPECT_EQ(read(wrong), "refused") << wrong;
}

}  // namespace
}  // namespace dunlin
