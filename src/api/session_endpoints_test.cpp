// The endpoints of sessions with two owners: whatever one makes does not exist for the other.
#include <future>

#include <gtest/gtest.h>

#include "api/context.h"
#include "sessions/stores.h"

namespace dunlin {
namespace {

class ListedModel final : public Registry {
 public:
    std::vector<ModelInfo> list() const override { return {}; }
    Expected<std::string> resolve(std::string_view name) const override {
        if (name == "m") return "m";
        return fail(Code::ModelNotFound, "there is no such model");
    }
    Expected<ModelInfo> find(std::string_view) const override { return ModelInfo{}; }
    void acquire(std::string_view, Acquired) override {}
    std::shared_ptr<Engine> loaded(std::string_view) const override { return nullptr; }
    void drain(int64_t) override {}
};

class Answered final : public Exchange {
 public:
    const HttpRequest& request() const override { return asked; }
    void respond(HttpResponse response) override { given.set_value(std::move(response)); }
    std::stop_token gone() const override { return {}; }
    void set_route(std::string_view) override {}
    void add_header(std::string, std::string) override {}

    HttpRequest asked;
    std::promise<HttpResponse> given;
};

class SessionEndpoints : public testing::Test {
 protected:
    SessionEndpoints() {
        ApiSettings settings;
        settings.turns.own_thread = false;
        settings.prompt_characters_max = 20;
        settings.prepare_threads = 1;
        api_ = std::make_unique<ApiContext>(settings, registry_, *sessions_, metrics_, clock_);
        for (const auto& row : endpoint_rows())
            api_->router.add(std::string(row.method), std::string(row.pattern));
    }
    ~SessionEndpoints() override { api_->workers.stop(); }

    /// The status, and the body in `json_`.
    int ask(const std::string& owner, const std::string& method, const std::string& target,
            const std::string& body = "") {
        auto exchange = std::make_shared<Answered>();
        exchange->asked.method = method;
        exchange->asked.target = target;
        exchange->asked.body = body;
        const auto found = api_->router.find(method, exchange->asked.path());
        if (!found.match) return 404;
        Caller caller;
        caller.owner = owner;
        endpoint_rows()[found.match->route].run(*api_, {exchange, *found.match, caller});
        HttpResponse response = exchange->given.get_future().get();
        json_ = read_json(response.body).value_or(Json());
        return response.status;
    }
    std::string text(const char* name) const {
        const Json* const value = json_.find(name);
        return value == nullptr || value->string() == nullptr ? "" : *value->string();
    }
    std::string param() const {
        const Json* const error = json_.find("error");
        const Json* const value = error == nullptr ? nullptr : error->find("param");
        return value == nullptr || value->string() == nullptr ? "" : *value->string();
    }

    ManualClock clock_;
    ListedModel registry_;
    std::unique_ptr<Sessions> sessions_ = std::move(
        *Sessions::open(std::move(*open_session_store("memory", {})), {.sessions_max = 3}, clock_));
    Metrics metrics_;
    std::unique_ptr<ApiContext> api_;
    Json json_;
};

TEST_F(SessionEndpoints, AnothersIdIsNotFoundInEitherDirection) {
    std::string ids[2], messages[2];
    const std::string owners[2] = {"ann", "bob"};
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(ask(owners[i], "POST", "/sessions", R"({"title":"mine"})"), 201);
        ids[i] = text("id");
        const auto plan = sessions_->plan(owners[i], {TurnPlace::What::Say, ids[i], "", "secret"});
        ASSERT_TRUE(sessions_->begin(*plan));
        messages[i] = plan->answer.id;
    }
    for (int i = 0; i < 2; ++i) {
        const std::string &other = ids[1 - i], &me = owners[i];
        const std::string branch = R"({"message_id":")" + messages[1 - i] + "\"}";
        EXPECT_EQ(ask(me, "GET", "/sessions/" + other), 404);
        EXPECT_EQ(ask(me, "PATCH", "/sessions/" + other, R"({"title":"x"})"), 404);
        EXPECT_EQ(ask(me, "PATCH", "/sessions/" + other, "nonsense"), 404);
        EXPECT_EQ(ask(me, "DELETE", "/sessions/" + other), 404);
        EXPECT_EQ(ask(me, "GET", "/chat/history/" + other), 404);
        EXPECT_EQ(ask(me, "GET", "/chat/history/" + other + "?format=markdown"), 404);
        EXPECT_EQ(ask(me, "DELETE", "/chat/history/" + other), 404);
        EXPECT_EQ(ask(me, "POST", "/chat/history/" + other + "/rollback", R"({"count":1})"), 404);
        EXPECT_EQ(ask(me, "POST", "/chat/history/" + other + "/branch", branch), 404);
        EXPECT_EQ(ask(me, "POST", "/chat/history/" + ids[i] + "/branch", branch), 404);
        EXPECT_EQ(ask(me, "GET", "/chat/history/" + ids[i] + "?before=" + messages[1 - i]), 404);
        EXPECT_EQ(ask(me, "GET", "/sessions?after=" + other), 400);
        ASSERT_EQ(ask(me, "GET", "/sessions?query=SECRET"), 200);
        ASSERT_EQ(json_.find("data")->array()->size(), 1);
        EXPECT_EQ(*(*json_.find("data")->array())[0].find("id")->string(), ids[i]);
    }
    for (int i = 0; i < 2; ++i) EXPECT_EQ(ask(owners[i], "GET", "/chat/history/" + ids[i]), 200);
}

TEST_F(SessionEndpoints, WhatIsWrongIsNamed) {
    ASSERT_EQ(ask("", "POST", "/sessions", "{}"), 201);
    const std::string id = text("id");
    const auto named = [&](const std::string& body) {
        EXPECT_EQ(ask("", "PATCH", "/sessions/" + id, body), 400) << body;
        return param();
    };
    EXPECT_EQ(named("[]"), "");
    EXPECT_EQ(named(R"({"titel":"x"})"), "titel");
    EXPECT_EQ(named(R"({"title":1})"), "title");
    EXPECT_EQ(named(R"({"title":")" + std::string(257, 'x') + "\"}"), "title");
    EXPECT_EQ(named(R"({"system":"123456789012345678901"})"), "system");
    EXPECT_EQ(named(R"({"parameters":[]})"), "parameters");
    EXPECT_EQ(named(R"({"parameters":{"temperature":3}})"), "parameters.temperature");
    EXPECT_EQ(named(R"({"parameters":{"temprature":1}})"), "parameters.temprature");
    EXPECT_EQ(named(R"({"parameters":{"messages":[]}})"), "parameters.messages");
    EXPECT_EQ(named(R"({"parameters":{"user":"x"}})"), "parameters.user");
    EXPECT_EQ(ask("", "PATCH", "/sessions/" + id, R"({"model":"none"})"), 404);
    EXPECT_EQ(ask("", "PATCH", "/sessions/" + id,
                  R"({"title":"t","model":"m","system":"s","parameters":{"stop":["x"]}})"),
              200);
    EXPECT_EQ(text("model"), "m");
    EXPECT_EQ(ask("", "PATCH", "/sessions/" + id, R"({"title":null,"parameters":null})"), 200);
    EXPECT_TRUE(json_.find("title")->is_null());
    EXPECT_TRUE(json_.find("parameters")->object()->empty());
    EXPECT_EQ(text("system"), "s");
    for (const char* query : {"limit=0", "limit=101", "limit=x", "limit=", "limit=1e1", "query=%ff",
                              "after=none", "query=%"})
        EXPECT_EQ(ask("", "GET", std::string("/sessions?") + query), 400) << query;
    for (const char* query : {"limit=201", "format=pdf", "before=%00"})
        EXPECT_EQ(ask("", "GET", "/chat/history/" + id + "?" + query), 400) << query;
    EXPECT_EQ(ask("", "GET", "/sessions?limit=100&unknown=1"), 200);
    for (const char* body : {"{}", R"({"count":0})", R"({"count":-1})", R"({"count":"1"})",
                             R"({"count":4294967296})", R"({"count":1,"x":1})", R"({"count":1})"})
        EXPECT_EQ(ask("", "POST", "/chat/history/" + id + "/rollback", body), 400) << body;
    EXPECT_EQ(ask("", "POST", "/chat/history/" + id + "/branch", R"({"message_id":1})"), 400);
    EXPECT_EQ(ask("", "POST", "/sessions", "{}"), 201);
    EXPECT_EQ(ask("", "POST", "/sessions", "{}"), 201);
    EXPECT_EQ(ask("", "POST", "/sessions", "{}"), 413) << "three are the limit";
    EXPECT_EQ(ask("other", "POST", "/sessions", "{}"), 201);
}

}  // namespace
}  // namespace dunlin
