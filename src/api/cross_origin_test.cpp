#include "api/cross_origin.h"

#include <map>

#include <gtest/gtest.h>

#include "api/browser_rules.h"

namespace dunlin {
namespace {

ApiSettings with_origins() {
    ApiSettings settings;
    settings.cors_origins = {"https://app.example", "http://10.0.0.2:5173"};
    settings.allowed_hosts = {"chat.example"};
    return settings;
}

std::map<std::string, std::string> as_map(const HttpHeaders& headers) {
    return {headers.begin(), headers.end()};
}

std::map<std::string, std::string> answer_headers(std::string_view origin) {
    HttpRequest request;
    if (!origin.empty()) request.headers = {{"origin", std::string(origin)}};
    return as_map(cross_origin_headers(with_origins(), request));
}

TEST(CrossOrigin, KnowsOriginsByTheirExactText) {
    for (const char* origin : {"https://app.example", "http://10.0.0.2:5173"}) {
        const auto headers = answer_headers(origin);
        EXPECT_EQ(headers.at("Access-Control-Allow-Origin"), origin);
        EXPECT_EQ(headers.at("Vary"), "Origin");
        EXPECT_NE(headers.at("Access-Control-Expose-Headers").find("x-request-id, retry-after"),
                  std::string::npos);
        EXPECT_FALSE(headers.contains("Access-Control-Allow-Credentials"));
    }
    for (const char* origin :
         {"", "*", "null", "http://app.example", "https://app.example:443",
          "https://app.example:8443", "https://app.example/", "https://APP.example",
          "https://app.example.evil.example", "https://evil-app.example", "https://sub.app.example",
          "https://app.example, https://x", "app.example", "http://10.0.0.2",
          "http://10.0.0.2:51730"}) {
        const auto headers = answer_headers(origin);
        EXPECT_EQ(headers.size(), 1U) << origin;  // Vary alone
        EXPECT_EQ(headers.at("Vary"), "Origin");
    }
}

TEST(CrossOrigin, SaysNothingWhereNoOriginIsListed) {
    HttpRequest request;
    request.headers = {{"origin", "https://app.example"}, {"access-control-request-method", "GET"}};
    EXPECT_TRUE(cross_origin_headers(ApiSettings{}, request).empty());
    EXPECT_TRUE(preflight_headers(ApiSettings{}, request, "GET").empty());
}

TEST(CrossOrigin, AnswersPreflights) {
    const auto preflight = [](HttpHeaders headers) {
        HttpRequest request;
        request.headers = std::move(headers);
        return as_map(preflight_headers(with_origins(), request, "POST, OPTIONS"));
    };
    const auto headers =
        preflight({{"origin", "https://app.example"},
                   {"access-control-request-method", "POST"},
                   {"access-control-request-headers",
                    "authorization,content-type, X-Stainless-Lang ,x-stainless-retry-count,x-evil,"
                    "x-stainless-\r\nx"}});
    EXPECT_EQ(headers.at("Access-Control-Allow-Methods"), "POST, OPTIONS");
    EXPECT_EQ(headers.at("Access-Control-Allow-Headers"),
              "authorization, content-type, x-api-key, api-key, x-request-id, anthropic-version, "
              "anthropic-beta, x-stainless-lang, x-stainless-retry-count");
    EXPECT_EQ(headers.at("Access-Control-Max-Age"), "600");
    EXPECT_TRUE(preflight({{"origin", "https://app.example"}}).empty());  // OPTIONS, and no more
    EXPECT_TRUE(
        preflight({{"origin", "https://evil.example"}, {"access-control-request-method", "POST"}})
            .empty());
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "x-stainless-" + std::to_string(i) + ",";
    const auto bounded = preflight({{"origin", "https://app.example"},
                                    {"access-control-request-method", "POST"},
                                    {"access-control-request-headers", many}});
    EXPECT_LT(bounded.at("Access-Control-Allow-Headers").size(), 1024U);
}

/// Every combination of what a browser sends, against rules that are written down anew.
TEST(CrossOrigin, PassesKnownHostsAndOriginsWithJsonOnly) {
    const std::map<std::string, bool> hosts{{"localhost:3000", true},     {"127.0.0.1:3000", true},
                                            {"chat.example", true},       {"app.example", false},
                                            {"evil.example:3000", false}, {"", false}};
    const std::map<std::string, bool> origins{{"", true},
                                              {"http://localhost:3000", true},
                                              {"https://chat.example", true},
                                              {"https://app.example", true},
                                              {"http://10.0.0.2:5173", true},
                                              {"http://app.example", false},
                                              {"https://app.example:444", false},
                                              {"http://10.0.0.2:5174", false},
                                              {"https://app.example.evil.example", false},
                                              {"null", false}};
    const std::map<std::string, bool> types{{"application/json", true},
                                            {"application/json; charset=utf-8", true},
                                            {"text/plain", false},
                                            {"application/x-www-form-urlencoded", false},
                                            {"", false}};
    int passed = 0;
    for (const auto& [host, host_known] : hosts)
        for (const auto& [origin, origin_known] : origins)
            for (const auto& [type, is_json] : types)
                for (const char* method : {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}) {
                    HttpRequest request;
                    request.method = method;
                    request.headers = {{"host", host}, {"sec-fetch-site", "same-site"}};
                    if (!origin.empty()) request.headers.emplace_back("origin", origin);
                    if (!type.empty()) request.headers.emplace_back("content-type", type);
                    const int wanted = !host_known || !origin_known           ? 403
                                       : request.method == "POST" && !is_json ? 415
                                                                              : 200;
                    const auto refused = check_browser(with_origins(), request);
                    EXPECT_EQ(refused ? refused->status : 200, wanted)
                        << host << ' ' << origin << ' ' << type << ' ' << method;
                    passed += wanted == 200 ? 1 : 0;
                }
    EXPECT_EQ(passed, 3 * 5 * (4 * 5 + 2));
}

}  // namespace
}  // namespace dunlin
