#include "api/browser_rules.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

int status_of(HttpHeaders headers, const char* method = "GET", const char* bound = "127.0.0.1") {
    ApiSettings settings;
    settings.host = bound;
    settings.allowed_hosts = {"chat.example"};
    HttpRequest request;
    request.method = method;
    request.headers = std::move(headers);
    const auto refused = check_browser(settings, request);
    return refused ? refused->status : 200;
}

TEST(BrowserRules, LeaveOtherClientsAlone) {
    EXPECT_EQ(status_of({{"host", "anything"}, {"content-type", "text/plain"}}, "POST"), 200);
}

TEST(BrowserRules, KnowOriginsByTheirWholeHost) {
    for (const char* origin : {"http://localhost", "http://LocalHost:3000", "https://127.0.0.1:1",
                               "http://[::1]:3000", "https://chat.example"})
        EXPECT_EQ(status_of({{"host", "localhost:3000"}, {"origin", origin}}), 200) << origin;
    for (const char* origin :
         {"null", "http://evil.example", "http://localhost.evil.example", "http://evil.localhost",
          "http://localhost@evil.example", "http://127.0.0.1:80@evil.example", "localhost",
          "http://", "http://6.6.6.6", "http://xchat.example", "http://[::1].evil.example"})
        EXPECT_EQ(status_of({{"host", "localhost:3000"}, {"origin", origin}}), 403) << origin;
}

TEST(BrowserRules, KnowHosts) {
    const auto host = [](const char* name, const char* bound = "127.0.0.1") {
        return status_of({{"host", name}, {"sec-fetch-site", "none"}}, "GET", bound);
    };
    EXPECT_EQ(host("127.0.0.1:3000"), 200);
    EXPECT_EQ(host("rebound.example:3000"), 403);
    EXPECT_EQ(host(""), 403);
    EXPECT_EQ(host("192.168.1.5:3000"), 403);
    EXPECT_EQ(host("192.168.1.5:3000", "0.0.0.0"), 200);
    EXPECT_EQ(host("rebound.example:3000", "0.0.0.0"), 403);
    EXPECT_EQ(status_of({{"host", "evil.example"}, {"upgrade", "websocket"}}), 403);
}

TEST(BrowserRules, OtherSitesMayLinkHereOnly) {
    const auto cross = [](const char* method, const char* mode) {
        return status_of({{"host", "localhost"},
                          {"sec-fetch-site", "cross-site"},
                          {"sec-fetch-mode", mode},
                          {"content-type", "application/json"}},
                         method);
    };
    EXPECT_EQ(cross("GET", "navigate"), 200);
    EXPECT_EQ(cross("GET", "no-cors"), 403);
    EXPECT_EQ(cross("POST", "navigate"), 403);
}

TEST(BrowserRules, WantJson) {
    const auto type = [](const char* value) {
        return status_of(
            {{"host", "localhost"}, {"origin", "http://localhost"}, {"content-type", value}},
            "POST");
    };
    EXPECT_EQ(type("application/json"), 200);
    EXPECT_EQ(type("Application/JSON ; charset=utf-8"), 200);
    EXPECT_EQ(type("application/jsonp"), 415);
    EXPECT_EQ(type("text/plain"), 415);
    EXPECT_EQ(type(""), 415);
}

}  // namespace
}  // namespace dunlin
