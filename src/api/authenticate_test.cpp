#include "api/authenticate.h"

#include <gtest/gtest.h>

#include "sessions/stores.h"

namespace dunlin {
namespace {

class NoModels final : public Registry {
 public:
    std::vector<ModelInfo> list() const override { return {}; }
    Expected<std::string> resolve(std::string_view) const override { return none(); }
    Expected<ModelInfo> find(std::string_view) const override { return none(); }
    void acquire(std::string_view, Acquired done) override { done(none()); }
    std::shared_ptr<Engine> loaded(std::string_view) const override { return nullptr; }
    void drain(int64_t) override {}

 private:
    static std::unexpected<Error> none() { return fail(Code::ModelNotFound, "none"); }
};

class Asked final : public Exchange {
 public:
    Asked(std::string_view header, std::string_view value, std::string_view peer) {
        if (!header.empty()) request_.headers.emplace_back(header, value);
        request_.peer = peer;
    }
    const HttpRequest& request() const override { return request_; }
    void respond(HttpResponse) override {}
    std::stop_token gone() const override { return {}; }
    void set_route(std::string_view) override {}
    void add_header(std::string name, std::string value) override {
        added.emplace(std::move(name), std::move(value));
    }
    std::map<std::string, std::string> added;

 private:
    HttpRequest request_;
};

class Authenticate : public testing::Test {
 protected:
    void open(uint32_t requests_per_minute = 0, std::vector<Key> keys = {}) {
        ApiSettings settings;
        settings.requests_per_minute = requests_per_minute;
        settings.keys = std::move(keys);
        settings.prepare_threads = 1;
        settings.turns.own_thread = false;
        api_ = std::make_unique<ApiContext>(settings, registry_, *sessions_, metrics_, clock_);
    }
    void open_with_keys(uint32_t requests_per_minute = 0) {
        open(requests_per_minute, {{"ann", sha256("key-ann"), true, 2},
                                   {"bob", sha256("key-bob"), true, 0},
                                   {"off", sha256("key-off"), false, 0}});
    }
    /// The owner, or the code of the refusal.
    std::string admitted(Who who, std::string_view key, std::string_view peer = "1.1.1.1") {
        asked_ = std::make_unique<Asked>(key.empty() ? "" : "x-api-key", key, peer);
        const EndpointRow row{"POST", "/x", nullptr, true, who, ""};
        auto caller = admit(*api_, row, *asked_);
        if (caller) return "owner " + caller->owner;
        error_ = caller.error();
        return std::string(to_string(error_.code));
    }

    ManualClock clock_;
    NoModels registry_;
    std::unique_ptr<Sessions> sessions_ =
        std::move(*Sessions::open(std::move(*open_session_store("memory", {})), {}, clock_));
    Metrics metrics_;
    std::unique_ptr<ApiContext> api_;
    std::unique_ptr<Asked> asked_;
    Error error_;
};

std::string key_in(HttpHeaders headers) {
    HttpRequest request;
    request.headers = std::move(headers);
    return std::string(presented_key(request));
}

TEST(PresentedKey, IsReadWhereClientsPutIt) {
    EXPECT_EQ(key_in({{"authorization", "Bearer abc"}}), "abc");
    EXPECT_EQ(key_in({{"authorization", "bearer   abc "}}), "abc");
    EXPECT_EQ(key_in({{"x-api-key", "abc"}}), "abc");
    EXPECT_EQ(key_in({{"api-key", " abc"}}), "abc");
    EXPECT_EQ(key_in({{"authorization", "Basic abc"}, {"x-api-key", "def"}}), "def");
    EXPECT_EQ(key_in({{"authorization", "Bearer "}, {"api-key", "def"}}), "def");
    EXPECT_EQ(key_in({{"authorization", "Bearerabc"}}), "");
    EXPECT_EQ(key_in({{"authorization", "abc"}}), "");
    EXPECT_EQ(key_in({}), "");
    const char* const protocols = "dunlin.chat.v1, dunlin.key.a-b_c";
    EXPECT_EQ(key_in({{"upgrade", "websocket"}, {"sec-websocket-protocol", protocols}}), "a-b_c");
    EXPECT_EQ(key_in({{"sec-websocket-protocol", protocols}}), "");
    EXPECT_EQ(key_in({{"upgrade", "websocket"}, {"sec-websocket-protocol", "dunlin.chat.v1"}}), "");
}

TEST_F(Authenticate, AsksNobodyWhereThereAreNoKeys) {
    open();
    for (const Who who : {Who::Public, Who::Keyed, Who::Limited, Who::Scraper, Who::Asks})
        for (const char* key : {"", "dummy"}) EXPECT_EQ(admitted(who, key), "owner ");
}

TEST_F(Authenticate, OpensEachDoorToTheRightCallers) {
    open_with_keys();
    for (const Who who : {Who::Keyed, Who::Limited, Who::Scraper}) {
        EXPECT_EQ(admitted(who, ""), "unauthorized");
        EXPECT_EQ(admitted(who, "key-"), "unauthorized");
        EXPECT_EQ(error_.message.find("key-"), std::string::npos);
        EXPECT_EQ(admitted(who, "key-off"), "forbidden");
        EXPECT_EQ(error_.message, "the API key \"off\" is disabled");
        EXPECT_EQ(admitted(who, "key-bob"), "owner bob");
    }
    for (const Who who : {Who::Public, Who::Asks})
        for (const char* key : {"", "key-", "key-off"}) EXPECT_EQ(admitted(who, key), "owner ");
    api_->settings.metrics_public = true;
    EXPECT_EQ(admitted(Who::Scraper, ""), "owner ");
    EXPECT_EQ(admitted(Who::Keyed, ""), "unauthorized");
}

/// What stands open is listed here by hand: a new endpoint that is public must be written twice.
TEST(Endpoints, ArePublicOnlyWhereTheListSaysSo) {
    std::vector<std::string> open, limited;
    for (const auto& row : endpoint_rows()) {
        if (row.who == Who::Public) open.emplace_back(row.pattern);
        if (row.who == Who::Limited) limited.emplace_back(row.pattern);
    }
    EXPECT_EQ(open, (std::vector<std::string>{"/health", "/readiness"}));
    EXPECT_EQ(limited, (std::vector<std::string>{"/completions", "/chat/completions"}));
}

TEST_F(Authenticate, CountsEachKeysRequestsForAnswers) {
    open_with_keys(3);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(admitted(Who::Keyed, "key-ann"), "owner ann");
    EXPECT_TRUE(asked_->added.empty());
    EXPECT_EQ(admitted(Who::Limited, "key-ann"), "owner ann");
    EXPECT_EQ(asked_->added["x-ratelimit-limit-requests"], "2");
    EXPECT_EQ(asked_->added["x-ratelimit-remaining-requests"], "1");
    EXPECT_EQ(asked_->added["x-ratelimit-reset-requests"], "1m0s");
    clock_.advance_us(1'500'000);
    EXPECT_EQ(admitted(Who::Limited, "key-ann", "2.2.2.2"), "owner ann");
    EXPECT_EQ(admitted(Who::Limited, "key-ann"), "rate_limited");
    EXPECT_EQ(error_.message, "rate limit reached: 2 requests a minute; try again in 59 seconds");
    EXPECT_EQ(error_.retry_ms, 58'500);
    EXPECT_EQ(asked_->added["x-ratelimit-remaining-requests"], "0");
    EXPECT_EQ(asked_->added["x-ratelimit-reset-requests"], "1m0s");
    clock_.advance_us(58'496'000);
    EXPECT_EQ(admitted(Who::Limited, "key-ann"), "rate_limited");
    EXPECT_EQ(error_.retry_ms, 4);
    EXPECT_EQ(asked_->added["x-ratelimit-reset-requests"], "1.504s");
    // Another key has its own minute, with the usual limit.
    for (int i = 0; i < 3; ++i) EXPECT_EQ(admitted(Who::Limited, "key-bob"), "owner bob");
    EXPECT_EQ(admitted(Who::Limited, "key-bob"), "rate_limited");
    clock_.advance_us(4'000);
    EXPECT_EQ(admitted(Who::Limited, "key-ann"), "owner ann");
}

TEST_F(Authenticate, CountsClientsByTheirAddressWhereThereAreNoKeys) {
    open(1);
    EXPECT_EQ(admitted(Who::Limited, "one", "1.1.1.1"), "owner ");
    EXPECT_EQ(admitted(Who::Limited, "two", "1.1.1.1"), "rate_limited");
    EXPECT_EQ(admitted(Who::Limited, "", "1.1.1.2"), "owner ");
    EXPECT_EQ(admitted(Who::Limited, "", "2001:db8::1"), "owner ");
    EXPECT_EQ(admitted(Who::Limited, "", "2001:db8::2"), "rate_limited");
    EXPECT_EQ(admitted(Who::Limited, "", "2001:db8:0:1::1"), "owner ");
    EXPECT_EQ(admitted(Who::Keyed, "", "1.1.1.1"), "owner ");
}

TEST_F(Authenticate, SlowsDownWhoGuesses) {
    open_with_keys();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(admitted(Who::Keyed, ""), "unauthorized");
    for (int i = 0; i < 60; ++i)
        EXPECT_EQ(admitted(Who::Keyed, "guess-" + std::to_string(i)), "unauthorized");
    EXPECT_EQ(admitted(Who::Keyed, "guess"), "rate_limited");
    EXPECT_EQ(error_.retry_ms, 60'000);
    EXPECT_EQ(admitted(Who::Keyed, "guess", "1.1.1.2"), "unauthorized");
    // Nobody is locked out by the guesses of others behind the same address.
    EXPECT_EQ(admitted(Who::Keyed, "key-bob"), "owner bob");
    clock_.advance_us(60'000'000);
    EXPECT_EQ(admitted(Who::Keyed, "guess"), "unauthorized");
}

}  // namespace
}  // namespace dunlin
