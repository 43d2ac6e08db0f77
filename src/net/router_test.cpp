#include "net/router.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

TEST(Router, FindsPlainAndParametrisedPaths) {
    Router router;
    const auto list = router.add("GET", "/models");
    const auto one = router.add("GET", "/models/{id...}");
    const auto roll = router.add("POST", "/chat/history/{id}/rollback");
    EXPECT_EQ(router.find("GET", "/models").match->route, list);
    EXPECT_EQ(router.find("HEAD", "/models").match->route, list);
    for (const char* path : {"/models/Qwen/Qwen2.5", "/models/Qwen%2FQwen2.5"}) {
        const auto found = router.find("GET", path);
        ASSERT_TRUE(found.match) << path;
        EXPECT_EQ(found.match->route, one);
        EXPECT_EQ(found.match->param("id"), "Qwen/Qwen2.5");
    }
    EXPECT_EQ(router.find("POST", "/chat/history/a%20b/rollback").match->param("id"), "a b");
    EXPECT_EQ(router.find("POST", "/chat/history/a/rollback").match->route, roll);
}

TEST(Router, RefusesOthersAndNamesAllowedMethods) {
    Router router;
    router.add("POST", "/completions");
    router.add("GET", "/models/{id...}");
    EXPECT_EQ(router.find("GET", "/completions").allowed, std::vector<std::string>{"POST"});
    for (const char* path : {"/", "", "/completion", "/completions/", "/completions/x", "/models/",
                             "/models/%zz", "/models/a%00b", "/models/%2"}) {
        const auto found = router.find("GET", path);
        EXPECT_FALSE(found.match) << path;
        EXPECT_TRUE(found.allowed.empty()) << path;
    }
}

}  // namespace
}  // namespace dunlin
