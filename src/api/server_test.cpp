#include "api/server.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/context.h"
#include "sessions/stores.h"

namespace dunlin {
namespace {

/// Says "Hello", and then ends; or, for the prompt "hang", waits to be cancelled.
class Scripted final : public Generation {
 public:
    Scripted(bool hangs, std::atomic<int>& cancelled) : cancelled_(cancelled) {
        log_ = {Started{3, 0}, Text{0, "Hel", {1}, {}}, Text{0, "lo", {2}, {}}};
        if (!hangs) finish(End::Stop);
    }
    size_t read(uint64_t from, size_t most, std::vector<Event>& out) const override {
        const std::lock_guard lock(mutex_);
        size_t count = 0;
        for (uint64_t i = from; i < log_.size() && count < most; ++i, ++count)
            out.push_back(log_[i]);
        return count;
    }
    void wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) override {
        {
            const std::lock_guard lock(mutex_);
            if (from >= log_.size() && !ended_) {
                waiting_.push_back(std::move(once));
                return;
            }
        }
        once();
    }
    void cancel() noexcept override {
        std::vector<std::move_only_function<void() noexcept>> wake;
        {
            const std::lock_guard lock(mutex_);
            if (ended_) return;
            finish(End::Cancelled);
            ++cancelled_;
            wake.swap(waiting_);
        }
        for (auto& one : wake) one();
    }

 private:
    void finish(End end) {
        ended_ = true;
        log_.emplace_back(Finished{0, end, ""});
        log_.emplace_back(Done{{3, 0, 2}, {}});
    }
    bool ended_ = false;
    std::atomic<int>& cancelled_;
    mutable std::mutex mutex_;
    std::vector<Event> log_;
    std::vector<std::move_only_function<void() noexcept>> waiting_;
};

struct ScriptedPrepared final : Prepared {
    bool hangs = false;
    uint32_t prompt_tokens() const override { return 3; }
    uint32_t max_tokens() const override { return 7; }
};

class ScriptedEngine final : public Engine {
 public:
    Expected<std::unique_ptr<Prepared>> prepare(const Request& request, std::stop_token) override {
        auto prepared = std::make_unique<ScriptedPrepared>();
        const auto* messages = std::get_if<std::vector<Message>>(&request.prompt);
        const std::string text = messages ? messages->back().content : "";
        if (text == "long")
            return fail(Code::TooLong,
                        "This model's maximum context length is 8 tokens. However, "
                        "your messages resulted in 9 tokens.");
        prepared->hangs = text == "hang";
        return prepared;
    }
    std::shared_ptr<Generation> submit(std::unique_ptr<Prepared> prepared,
                                       const Admission&) override {
        return std::make_shared<Scripted>(static_cast<ScriptedPrepared&>(*prepared).hangs,
                                          cancelled);
    }
    Expected<std::vector<TokenId>> tokenize(std::string_view, bool) const override { return {}; }
    Expected<std::string> detokenize(std::span<const TokenId>) const override { return {}; }
    const Capabilities& capabilities() const override { return capabilities_; }
    EngineState state() const override {
        EngineState state;
        state.ready = true;
        return state;
    }
    void drain(int64_t) override {}
    std::atomic<int> cancelled{0};

 private:
    Capabilities capabilities_;
};

class OneModel final : public Registry {
 public:
    std::vector<ModelInfo> list() const override {
        ModelInfo info;
        info.id = "a/b";
        info.state = ModelState::Loaded;
        return {info};
    }
    Expected<std::string> resolve(std::string_view name) const override {
        if (name.empty() || name == "a/b") return "a/b";
        return fail(Code::ModelNotFound, "no such model");
    }
    Expected<ModelInfo> find(std::string_view) const override { return list()[0]; }
    void acquire(std::string_view, Acquired done) override { done(engine); }
    std::shared_ptr<Engine> loaded(std::string_view) const override { return engine; }
    void drain(int64_t) override {}
    std::shared_ptr<ScriptedEngine> engine = std::make_shared<ScriptedEngine>();
};

int connect_to(uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    return fd;
}

void send_text(int fd, const std::string& text) {
    EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

std::string post(const std::string& path, const std::string& body) {
    return "POST " + path +
           " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string chat(const std::string& text, const std::string& more = "") {
    return post("/v1/chat/completions",
                R"({"messages":[{"role":"user","content":")" + text + "\"}]" + more + "}");
}

class ServerTest : public testing::Test {
 protected:
    void SetUp() override {
        ApiSettings settings;
        settings.port = 0;
        settings.body_bytes_max = 4096;
        settings.prompt_characters_max = 20;
        settings.request_timeout_s = 1;
        auto started = Server::start(settings, registry_, *sessions_, metrics_, system_clock());
        ASSERT_TRUE(started) << started.error().message;
        server_ = std::move(*started);
    }
    std::string ask(const std::string& request) {
        const int fd = connect_to(server_->port());
        send_text(fd, request);
        std::string answer;
        char part[4096];
        for (ssize_t n = 0; (n = recv(fd, part, sizeof part, 0)) > 0;)
            answer.append(part, static_cast<size_t>(n));
        close(fd);
        return answer;
    }
    std::string get(const std::string& path, const std::string& headers = "") {
        return ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
                   headers + "\r\n");
    }
    bool cancelled_soon(int count) {
        for (int i = 0; i < 200 && registry_.engine->cancelled < count; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return registry_.engine->cancelled == count;
    }

    OneModel registry_;
    std::unique_ptr<Sessions> sessions_ = std::move(
        *Sessions::open(std::move(*open_session_store("memory", {})), {}, system_clock()));
    Metrics metrics_;
    std::unique_ptr<Server> server_;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)
#define EXPECT_STATUS(text, code) EXPECT_EQ((text).substr(9, 3), code) << (text)

TEST_F(ServerTest, ServesStatusAndModels) {
    EXPECT_STATUS(get("/health"), "200");
    EXPECT_HAS(get("/v1/health"), "x-request-id: ");
    EXPECT_STATUS(get("/readiness"), "200");
    EXPECT_HAS(get("/v1/models"), R"("id":"a/b")");
    EXPECT_STATUS(get("/models/a/b"), "200");
    EXPECT_STATUS(get("/models/a%2Fb"), "200");
    EXPECT_HAS(get("/models/nope"), "model_not_found");
    EXPECT_HAS(get("/metrics"),
               R"(dunlin_http_requests_total{route="/health",method="GET",status="200"} 1)");
}

TEST_F(ServerTest, AnswersWhole) {
    const auto answer = ask(chat("hi", R"(,"user":"u","odd":1)"));
    EXPECT_STATUS(answer, "200");
    EXPECT_HAS(answer, R"("content":"Hello")");
    EXPECT_HAS(answer, R"("finish_reason":"stop")");
    EXPECT_HAS(answer, R"("total_tokens":5)");
    EXPECT_HAS(answer, "x-ignored-params: user, odd");
    EXPECT_HAS(answer, "x-max-tokens: 7");
    EXPECT_HAS(ask(post("/completions", R"({"prompt":"x"})")), R"("text":"Hello")");
}

TEST_F(ServerTest, StreamsInFrames) {
    const auto answer =
        ask(chat("hi", R"(,"stream":true,"stream_options":{"include_usage":true})"));
    EXPECT_STATUS(answer, "200");
    EXPECT_HAS(answer, "Content-Type: text/event-stream");
    EXPECT_EQ(answer.find("\"role\""), answer.rfind("\"role\""));
    EXPECT_HAS(answer, R"("delta":{"content":"lo"})");
    EXPECT_HAS(answer, R"("choices":[],"usage":{"prompt_tokens":3)");
    EXPECT_HAS(answer, "data: [DONE]\n\n\r\n0\r\n\r\n");
}

TEST_F(ServerTest, RefusesWithReasons) {
    EXPECT_STATUS(get("/nothing"), "404");
    const auto method = get("/chat/completions");
    EXPECT_STATUS(method, "405");
    EXPECT_HAS(method, "Allow: POST");
    EXPECT_STATUS(ask(chat("hi", "}")), "400");
    EXPECT_HAS(ask(chat("hi", R"(,"temperature":3)")), R"("param":"temperature")");
    EXPECT_STATUS(ask(chat("hi", R"(,"model":"other")")), "404");
    EXPECT_HAS(ask(chat("long")), "context_length_exceeded");
    const auto characters = ask(chat("123456789012345678901"));
    EXPECT_HAS(characters, "21 characters; the limit is 20");
    EXPECT_STATUS(ask(post("/completions", std::string(5000, 'x'))), "413");
    EXPECT_STATUS(get("/health", "X: " + std::string(40'000, 'x') + "\r\n"), "431");
    EXPECT_STATUS(ask("nonsense\r\n\r\n"), "400");
    EXPECT_STATUS(get("/health", "Origin: http://evil.example\r\n"), "403");
    EXPECT_STATUS(get("/health", "Origin: http://localhost:3000\r\n"), "200");
}

TEST_F(ServerTest, AnswersExpectContinue) {
    const int fd = connect_to(server_->port());
    send_text(fd,
              "POST /completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
              "Content-Length: 14\r\n\r\n");
    char part[64]{};
    EXPECT_GT(recv(fd, part, sizeof part, 0), 0);
    EXPECT_EQ(std::string(part).substr(0, 12), "HTTP/1.1 100");
    close(fd);
}

TEST_F(ServerTest, KeepsTheConnection) {
    const int fd = connect_to(server_->port());
    for (int i = 0; i < 3; ++i) {
        send_text(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
        char part[1024]{};
        EXPECT_GT(recv(fd, part, sizeof part, 0), 0);
        EXPECT_STATUS(std::string(part), "200");
    }
    close(fd);
}

TEST_F(ServerTest, GivesSlowRequestsUp) {
    const char* const beginnings[] = {
        "GET /health HTTP/1.1\r\n",
        "POST /completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"};
    for (const char* beginning : beginnings) {
        const auto began = std::chrono::steady_clock::now();
        EXPECT_STATUS(ask(beginning), "408");
        EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    }
    EXPECT_HAS(get("/metrics"), R"({route="none",method="other",status="408"} 1)");
    EXPECT_HAS(get("/metrics"), R"({route="none",method="POST",status="408"} 1)");
}

TEST_F(ServerTest, TellsThatItIsFull) {
    ApiSettings settings;
    settings.port = 0;
    settings.connections_max = 1;
    auto small = Server::start(settings, registry_, *sessions_, metrics_, system_clock());
    ASSERT_TRUE(small);
    const int first = connect_to((*small)->port());
    send_text(first, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    char part[1024]{};
    EXPECT_GT(recv(first, part, sizeof part, 0), 0);
    EXPECT_STATUS(std::string(part), "200");
    const int second = connect_to((*small)->port());
    send_text(second, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    char refused[1024]{};
    EXPECT_GT(recv(second, refused, sizeof refused, 0), 0);
    EXPECT_STATUS(std::string(refused), "503");
    EXPECT_HAS(std::string(refused), "Retry-After: 1");
    close(first);
    close(second);
    // The small server counts on its own thread, perhaps after its answer is here.
    const auto counted = [&] {
        return get("/metrics").find(R"(,method="GET",status="503"} 1)") != std::string::npos;
    };
    for (int i = 0; i < 200 && !counted(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(counted());
}

TEST_F(ServerTest, SendsTheSameHeadersWithEveryAnswer) {
    for (const auto& answer : {get("/health"), get("/nothing"), ask("nonsense\r\n\r\n"),
                               ask(chat("hi")), ask(chat("hi", R"(,"stream":true)"))})
        for (const char* header :
             {"x-request-id: ", "openai-processing-ms: ", "X-Content-Type-Options: nosniff",
              "Cache-Control: no-", "Cross-Origin-Resource-Policy: same-origin"})
            EXPECT_HAS(answer, header);
    EXPECT_HAS(get("/health", "x-request-id: mine-1\r\n"), "x-request-id: mine-1\r\n");
    EXPECT_EQ(get("/health", "x-request-id: a b\r\n").find("a b"), std::string::npos);
}

TEST_F(ServerTest, AnswersOptionsWithoutOtherOrigins) {
    const auto answer = ask("OPTIONS /models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_STATUS(answer, "204");
    EXPECT_HAS(answer, "Allow: GET, HEAD, OPTIONS\r\n");
    const auto preflight =
        ask("OPTIONS /chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    EXPECT_STATUS(preflight, "403");
    EXPECT_EQ(preflight.find("Access-Control"), std::string::npos);
}

TEST_F(ServerTest, EchoesThePrompt) {
    EXPECT_HAS(ask(post("/completions", R"({"prompt":"x>","echo":true})")), R"("text":"x>Hello")");
    const auto stream =
        ask(post("/completions", R"({"prompt":"x>","echo":true,"stream":true,"n":2})"));
    EXPECT_HAS(stream, R"("index":0,"text":"x>")");
    EXPECT_HAS(stream, R"("index":1,"text":"x>")");
}

TEST_F(ServerTest, CancelsWhenTheClientLeaves) {
    for (const char* more : {"", R"(,"stream":true)"}) {
        const int before = registry_.engine->cancelled;
        const int fd = connect_to(server_->port());
        send_text(fd, chat("hang", more));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        EXPECT_EQ(registry_.engine->cancelled, before);
        close(fd);
        EXPECT_TRUE(cancelled_soon(before + 1)) << more;
    }
}

TEST_F(ServerTest, StopsInTimeAndNamesAPortInUse) {
    ApiSettings settings;
    settings.port = server_->port();
    const auto second = Server::start(settings, registry_, *sessions_, metrics_, system_clock());
    ASSERT_FALSE(second);
    EXPECT_HAS(second.error().message, "is in use");
    const int fd = connect_to(server_->port());
    send_text(fd, chat("hang", R"(,"stream":true)"));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    server_->stop(50'000);
    EXPECT_TRUE(cancelled_soon(1));
    close(fd);
}

TEST(OpenApi, HasEveryRouteAndNoOther) {
    Router router;
    size_t expected = 0, told = 0;
    for (const auto& row : endpoint_rows()) expected += row.v1 ? 2 : 1;
    const Json document = openapi_document();
    for (const auto& row : endpoint_rows())
        router.add(std::string(row.method), std::string(row.pattern));
    for (const auto& [path, operations] : *document.find("paths")->object()) {
        const std::string plain = path.starts_with("/v1/") ? path.substr(3) : path;
        for (const auto& [name, operation] : *operations.object()) {
            std::string method = name;
            for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
            EXPECT_TRUE(router.find(method, plain).match) << method << " " << path;
            ++told;
        }
    }
    EXPECT_EQ(told, expected);
}

TEST(MetricsText, EscapesAndAccumulates) {
    Metrics metrics;
    metrics.counter("c", "a\nb", {{"k", "\"\\\n"}}).add(2);
    const double bounds[] = {1, 2};
    metrics.histogram("h", "x", {}, bounds).observe(1.5);
    EXPECT_EQ(metrics_text(metrics),
              "# HELP c a\\nb\n# TYPE c counter\nc{k=\"\\\"\\\\\\n\"} 2\n"
              "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 0\nh_bucket{le=\"2\"} 1\n"
              "h_bucket{le=\"+Inf\"} 1\nh_sum 1.5\nh_count 1\n");
}

}  // namespace
}  // namespace dunlin
