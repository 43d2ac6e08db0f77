#include "base/cores.h"

#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace dunlin {
namespace {

namespace fs = std::filesystem;

class Cores : public testing::Test {
 protected:
    ~Cores() override { fs::remove_all(root_); }

    void describe(uint32_t processor, const std::string& siblings) {
        const std::string folder = root_ + "/cpu" + std::to_string(processor) + "/topology";
        fs::create_directories(folder);
        std::ofstream(folder + "/thread_siblings_list") << siblings << "\n";
    }
    uint32_t count(std::vector<uint32_t> processors) { return count_cores(processors, root_); }

    std::string root_ = testing::TempDir() + "cores" + std::to_string(getpid());
};

TEST_F(Cores, ThreadsOfOneCoreCountOnce) {
    for (uint32_t i = 0; i < 8; ++i)
        describe(i, std::to_string(i % 4) + "," + std::to_string(i % 4 + 4));
    EXPECT_EQ(count({0, 1, 2, 3, 4, 5, 6, 7}), 4U);
    EXPECT_EQ(count({0, 1, 2, 3}), 4U);
    EXPECT_EQ(count({1, 5}), 1U);
    EXPECT_EQ(count({5}), 1U);
}

TEST_F(Cores, CoresMayDiffer) {
    describe(0, "0-1"), describe(1, "0-1"), describe(2, "2"), describe(3, "3");
    EXPECT_EQ(count({0, 1, 2, 3}), 3U);
}

TEST_F(Cores, WhatIsNotDescribedIsACore) {
    describe(0, "0,2"), describe(2, "0,2");
    EXPECT_EQ(count({0, 1, 2, 3}), 3U);
    EXPECT_EQ(count({}), 0U);
}

}  // namespace
}  // namespace dunlin
