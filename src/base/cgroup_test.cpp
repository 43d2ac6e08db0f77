#include "base/cgroup.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace dunlin {
namespace {

namespace fs = std::filesystem;

class CgroupTest : public testing::Test {
 protected:
    ~CgroupTest() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        fs::create_directories(fs::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    CgroupLimits read() { return read_cgroup_limits(root_, root_ + "/membership"); }

    std::string root_ = testing::TempDir() + "cgroup" + std::to_string(getpid());
};

TEST_F(CgroupTest, AContainerSeesItsOwnGroupAsTheRoot) {
    write("/membership", "0::/\n");
    write("/memory.max", "2147483648\n");
    write("/cpu.max", "150000 100000\n");
    EXPECT_EQ(read().memory_bytes, 2147483648U);
    EXPECT_DOUBLE_EQ(read().cores, 1.5);
}

TEST_F(CgroupTest, TheTightestGroupOnTheWayUpCounts) {
    write("/membership", "12:cpuset:/other\n0::/outer/inner\n");
    write("/outer/memory.max", "1000\n");
    write("/outer/inner/memory.max", "max\n");
    write("/outer/cpu.max", "400000 100000\n");
    write("/outer/inner/cpu.max", "50000 100000\n");
    EXPECT_EQ(read().memory_bytes, 1000U);
    EXPECT_DOUBLE_EQ(read().cores, 0.5);
}

TEST_F(CgroupTest, WhatCannotBeReadIsNoLimit) {
    EXPECT_EQ(read().memory_bytes, 0U);
    write("/membership", "0::/\n");
    write("/memory.max", "max\n");
    write("/cpu.max", "max 100000\n");
    EXPECT_EQ(read().memory_bytes, 0U);
    EXPECT_EQ(read().cores, 0);
    write("/memory.max", "rubbish\n");
    write("/cpu.max", "100000 0\n");
    EXPECT_EQ(read().memory_bytes, 0U);
    EXPECT_EQ(read().cores, 0);
}

}  // namespace
}  // namespace dunlin
