#include "net/listener.h"

#include <chrono>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dunlin {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A body that a test feeds.
class Fed final : public BodySource {
 public:
    Next pull(std::string& out) override {
        const std::lock_guard lock(mutex_);
        out += std::exchange(text_, {});
        return ended_ ? Next::End : Next::Wait;
    }
    void wake_when_ready(std::move_only_function<void() noexcept> ready) override {
        {
            const std::lock_guard lock(mutex_);
            if (text_.empty() && !ended_) {
                ready_ = std::move(ready);
                return;
            }
        }
        ready();
    }
    std::string_view idle_text() const override { return ": ping\n\n"; }
    std::optional<HttpResponse> instead() override {
        if (!refuses) return std::nullopt;
        return HttpResponse{.status = 503, .body = "refused"};
    }

    void feed(std::string_view text, bool ends = false) {
        std::move_only_function<void() noexcept> wake;
        {
            const std::lock_guard lock(mutex_);
            text_ += text;
            ended_ = ends;
            wake = std::move(ready_);
        }
        if (wake) wake();
    }
    bool refuses = false;

 private:
    std::mutex mutex_;
    std::string text_;
    bool ended_ = false;
    std::move_only_function<void() noexcept> ready_;
};

class ListenerTest : public testing::Test {
 protected:
    void SetUp() override {
        NetHandlers handlers{
            .serve = [this](const std::shared_ptr<Exchange>& exchange) { serve(*exchange); },
            .refuse =
                [](const HttpRequest& request, int status, std::string_view) {
                    return HttpResponse{.status = status, .headers = {{"x-path", request.target}}};
                },
            .served =
                [this](const Served& served) {
                    status_ = served.status;
                    bytes_ = served.body_bytes;
                    ++served_;
                },
        };
        auto started = Listener::start({.write_timeout_s = 1, .ping_s = 1, .hold_head_s = 1},
                                       std::move(handlers));
        ASSERT_TRUE(started) << started.error().message;
        listener_ = std::move(*started);
    }
    void TearDown() override {
        close(fd_);
        listener_->stop(0);
    }

    void serve(Exchange& exchange) {
        exchange.add_header("x-added", "yes");
        auto body = std::make_unique<Fed>();
        body_ = body.get();
        if (exchange.request().path() == "/refused") {
            body->refuses = true;
            body->feed("x", true);
        }
        if (exchange.request().path() == "/whole") body->feed("whole", true);
        if (exchange.request().path() == "/big") body->feed(std::string(64 << 20, 'x'), true);
        HttpResponse response;
        response.stream = std::move(body);
        exchange.respond(std::move(response));
    }

    void send_text(const std::string& text) {
        fd_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(listener_->port());
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ASSERT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
        ASSERT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    /// Until the answer ends in `end`, or is over.
    std::string receive(std::string_view end) {
        std::string answer;
        char part[4096];
        while (!answer.ends_with(end) || end.empty()) {
            const ssize_t bytes = recv(fd_, part, sizeof part, 0);
            if (bytes <= 0) break;
            answer.append(part, static_cast<size_t>(bytes));
        }
        return answer;
    }

    std::atomic<Fed*> body_{nullptr};
    std::atomic<int> status_{0}, served_{0};
    std::atomic<uint64_t> bytes_{0};
    std::unique_ptr<Listener> listener_;
    int fd_ = -1;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(ListenerTest, SendsTheHeadAndPingsWhereNothingComes) {
    const auto began = steady_clock::now();
    send_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto head = receive("\r\n\r\n");
    EXPECT_HAS(head, "HTTP/1.1 200 OK\r\n");
    EXPECT_HAS(head, "Transfer-Encoding: chunked\r\n");
    EXPECT_HAS(head, "x-added: yes\r\n");
    EXPECT_GE(steady_clock::now() - began, milliseconds(900));
    EXPECT_EQ(receive("\n\n\r\n"), "8\r\n: ping\n\n\r\n");
    body_.load()->feed("data", true);
    EXPECT_EQ(receive("0\r\n\r\n"), "4\r\ndata\r\n0\r\n\r\n");
    while (served_ == 0) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_EQ(status_, 200);
    EXPECT_EQ(bytes_, 4U);
}

TEST_F(ListenerTest, SendsAnotherAnswerInstead) {
    send_text("GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto answer = receive("refused");
    EXPECT_HAS(answer, "HTTP/1.1 503 ");
    EXPECT_HAS(answer, "Content-Length: 7\r\n");
    EXPECT_HAS(answer, "x-added: yes\r\n");
}

TEST_F(ListenerTest, TellsWhoseRequestIsRefused) {
    send_text("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
    const auto answer = receive("\r\n\r\n");
    EXPECT_HAS(answer, "HTTP/1.1 413 ");
    EXPECT_HAS(answer, "x-path: /large\r\n");
}

TEST_F(ListenerTest, EndsAnOldClientsBodyWithItsConnection) {
    send_text("GET /whole HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const auto answer = receive("");
    EXPECT_TRUE(answer.ends_with("Connection: close\r\n\r\nwhole")) << answer;
    EXPECT_EQ(answer.find("chunked"), std::string::npos);
}

TEST_F(ListenerTest, GivesUpAClientThatTakesNothing) {
    send_text("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto began = steady_clock::now();
    while (served_ == 0 && steady_clock::now() - began < std::chrono::seconds(10))
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(served_, 1);
    EXPECT_EQ(status_, 499);
    EXPECT_GE(steady_clock::now() - began, milliseconds(900));
}

TEST_F(ListenerTest, CountsOneRequestThatStopsHalfWay) {
    send_text("GET / HT");
    close(fd_);
    const auto began = steady_clock::now();
    while (served_ == 0 && steady_clock::now() - began < std::chrono::seconds(10))
        std::this_thread::sleep_for(milliseconds(1));
    EXPECT_EQ(status_, 499);
    fd_ = -1;
    EXPECT_EQ(served_, 1);
}

}  // namespace
}  // namespace dunlin
