#include "base/os.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace dunlin {
namespace {

constexpr size_t kBytes = 1 << 20;

std::string make_file(const char* name) {
    std::string path = testing::TempDir() + name + std::to_string(getpid());
    std::ofstream(path, std::ios::binary) << std::string(kBytes, 'x');
    return path;
}

size_t count_x(const MappedFile& file) {
    const auto bytes = file.bytes();
    return static_cast<size_t>(std::count(bytes.begin(), bytes.end(), std::byte{'x'}));
}

TEST(MappedFile, ReadsZerosWhereTheFileWasCut) {
    const std::string path = make_file("cut");
    {
        const auto file = MappedFile::open(path);
        ASSERT_TRUE(file) << file.error().message;
        EXPECT_EQ(count_x(*file), kBytes);
        EXPECT_TRUE(file->check_unchanged());
        ASSERT_EQ(truncate(path.c_str(), 5000), 0);
        EXPECT_EQ(count_x(*file), 5000U);
        ASSERT_FALSE(file->check_unchanged());
        EXPECT_EQ(file->check_unchanged().error().code, Code::Corrupt);
        EXPECT_EQ(count_x(*file), 5000U);
    }
    std::remove(path.c_str());
}

TEST(MappedFile, SeesThatAFileWasWrittenAgain) {
    const std::string path = make_file("again");
    const auto file = MappedFile::open(path);
    ASSERT_TRUE(file);
    usleep(20'000);  // coarser clocks exist
    std::ofstream(path, std::ios::binary) << std::string(kBytes, 'y');
    EXPECT_FALSE(file->check_unchanged());
    std::remove(path.c_str());
}

TEST(MappedFile, HasALimitAndGivesPlacesBack) {
    const std::string path = make_file("many");
    for (int round = 0; round < 2; ++round) {
        std::vector<MappedFile> open;
        for (int i = 0; i < 64; ++i) {
            auto file = MappedFile::open(path);
            ASSERT_TRUE(file) << file.error().message;
            open.push_back(std::move(*file));
        }
        const auto more = MappedFile::open(path);
        ASSERT_FALSE(more);
        EXPECT_EQ(more.error().code, Code::NoRoom);
    }
    std::remove(path.c_str());
}

TEST(MappedFileDeathTest, LeavesOtherFaultsAlone) {
    const std::string path = make_file("other");
    ASSERT_TRUE(MappedFile::open(path));  // the handler is there now
    EXPECT_DEATH(raise(SIGBUS), "");      // a sanitizer ends it in its own way
    std::remove(path.c_str());
}

}  // namespace
}  // namespace dunlin
