#include "sessions/tree.h"

#include <random>

#include <gtest/gtest.h>

namespace dunlin {
namespace {

MessageLink link(std::string id, std::string parent, std::string role = "user") {
    return {std::move(id), std::move(parent), std::move(role)};
}

using Ids = std::vector<std::string>;

TEST(MessageTree, AnEmptyOneHasNothing) {
    const MessageTree tree({});
    EXPECT_EQ(tree.path(""), Ids{});
    EXPECT_EQ(tree.path("x"), Ids{});
    EXPECT_EQ(tree.find("x"), nullptr);
    EXPECT_EQ(tree.question_of(""), nullptr);
    EXPECT_EQ(tree.children(""), 0);
}

TEST(MessageTree, KnowsPathsSiblingsAndEnds) {
    // q1 - a1 - q2 - a2
    //   \- b1     \- b2    and c1 beside q1
    const MessageTree tree({link("q1", ""), link("a1", "q1", "assistant"), link("q2", "a1"),
                            link("a2", "q2", "assistant"), link("b1", "q1", "assistant"),
                            link("c1", ""), link("b2", "q2", "assistant")});
    EXPECT_EQ(tree.path("b2"), (Ids{"q1", "a1", "q2", "b2"}));
    EXPECT_EQ(tree.path("q1"), (Ids{"q1"}));
    EXPECT_EQ(tree.siblings("b2"), (Ids{"a2", "b2"}));
    EXPECT_EQ(tree.siblings("c1"), (Ids{"q1", "c1"}));
    EXPECT_EQ(tree.newest_end("q1"), "b2");
    EXPECT_EQ(tree.newest_end("a1"), "b2");
    EXPECT_EQ(tree.newest_end("b1"), "b1");
    EXPECT_EQ(tree.newest_end("c1"), "c1");
    EXPECT_EQ(tree.question_of("b2")->id, "q2");
    EXPECT_EQ(tree.question_of("q2")->id, "q2");
    EXPECT_EQ(tree.question_of("b1")->id, "q1");
    EXPECT_EQ(tree.children("q1"), 2);
    EXPECT_EQ(tree.children("b1"), 0);
    EXPECT_EQ(tree.children(""), 2);
}

TEST(MessageTree, AnUnknownParentOrOneThatComesLaterIsNoWayUp) {
    const MessageTree tree({link("a", "b"), link("b", "a"), link("c", "c"), link("d", "none")});
    EXPECT_EQ(tree.path("a"), Ids{"a"});
    EXPECT_EQ(tree.path("b"), (Ids{"a", "b"}));
    EXPECT_EQ(tree.path("c"), Ids{"c"});
    EXPECT_EQ(tree.path("d"), Ids{"d"});
    EXPECT_EQ(tree.newest_end("a"), "b");
}

TEST(MessageTree, RandomTreesAgreeWithTheSlowWay) {
    std::mt19937 draw(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<MessageLink> links;
        const size_t count = draw() % 40;
        for (size_t i = 0; i < count; ++i) {
            const size_t above = draw() % (i + 1);
            links.push_back(link("m" + std::to_string(i),
                                 above == i ? "" : "m" + std::to_string(above),
                                 draw() % 2 ? "user" : "assistant"));
        }
        const MessageTree tree(links);
        const auto is_below = [&](std::string id, const std::string& top) {
            while (id != top && !id.empty()) id = links[std::stoul(id.substr(1))].parent;
            return id == top;
        };
        for (const MessageLink& one : links) {
            Ids path, siblings;
            for (std::string id = one.id; !id.empty(); id = links[std::stoul(id.substr(1))].parent)
                path.insert(path.begin(), id);
            std::string newest;
            for (const MessageLink& other : links) {
                if (other.parent == one.parent) siblings.push_back(other.id);
                if (is_below(other.id, one.id)) newest = other.id;
            }
            EXPECT_EQ(tree.path(one.id), path);
            EXPECT_EQ(tree.siblings(one.id), siblings);
            EXPECT_EQ(tree.newest_end(one.id), newest);
            EXPECT_EQ(tree.children(newest), 0);
        }
    }
}

}  // namespace
}  // namespace dunlin
