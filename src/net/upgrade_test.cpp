#include "net/upgrade.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

HttpRequest good() {
    HttpRequest request;
    request.method = "GET";
    request.headers = {{"host", "a"},
                       {"upgrade", "websocket"},
                       {"connection", "Upgrade"},
                       {"sec-websocket-version", "13"},
                       {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}};
    return request;
}

/// Of the good request with one field in other words; nothing removes it.
int status_with(std::string_view name, std::optional<std::string> value) {
    HttpRequest request = good();
    std::erase_if(request.headers, [&](const auto& field) { return field.first == name; });
    if (value) request.headers.emplace_back(name, *value);
    const auto refused = check_upgrade(request, false);
    return refused ? refused->status : 101;
}

TEST(Upgrade, TakesWhatBrowsersSend) {
    EXPECT_FALSE(check_upgrade(good(), false));
    EXPECT_EQ(status_with("connection", "keep-alive, Upgrade"), 101);
    EXPECT_EQ(status_with("connection", "keep-alive ,\tuPGRADE ,"), 101);
    EXPECT_EQ(status_with("upgrade", "WebSocket"), 101);
    EXPECT_EQ(status_with("upgrade", "h2c, websocket"), 101);
    HttpRequest two_fields = good();
    two_fields.headers.insert(two_fields.headers.begin(), {"connection", "keep-alive"});
    EXPECT_FALSE(check_upgrade(two_fields, false));
}

TEST(Upgrade, TellsOthersWhatIsSpokenHere) {
    EXPECT_EQ(status_with("upgrade", std::nullopt), 426);
    EXPECT_EQ(status_with("upgrade", "websockets"), 426);
    EXPECT_EQ(status_with("upgrade", ""), 426);
    EXPECT_EQ(check_upgrade(good(), true)->status, 426);
    for (const auto* version : {"8", "14", "013", "13, 8", ""})
        EXPECT_EQ(status_with("sec-websocket-version", version), 426) << version;
    EXPECT_EQ(status_with("sec-websocket-version", std::nullopt), 426);
}

TEST(Upgrade, RefusesBrokenHandshakes) {
    EXPECT_EQ(status_with("connection", std::nullopt), 400);
    EXPECT_EQ(status_with("connection", "keep-alive"), 400);
    EXPECT_EQ(status_with("connection", "not-upgrade"), 400);
    for (const auto* key :
         {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=a", "dGhlIHNhbXBsZSBub25j!Q==",
          "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="})
        EXPECT_EQ(status_with("sec-websocket-key", key), 400) << key;
    EXPECT_EQ(status_with("sec-websocket-key", std::nullopt), 400);
    HttpRequest twice = good();
    twice.headers.emplace_back("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT_EQ(check_upgrade(twice, false)->status, 400);
    HttpRequest head = good();
    head.method = "HEAD";
    EXPECT_EQ(check_upgrade(head, false)->status, 400);
    HttpRequest body = good();
    body.body = "x";
    EXPECT_EQ(check_upgrade(body, false)->status, 400);
}

}  // namespace
}  // namespace dunlin
