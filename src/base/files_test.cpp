#include "base/files.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/data_folder.h"

namespace dunlin {
namespace {

class Files : public testing::Test {
 protected:
    Files() {
        std::string name = std::filesystem::temp_directory_path() / "dunlin_files_XXXXXX";
        folder_ = mkdtemp(name.data());
    }
    ~Files() override { std::filesystem::remove_all(folder_); }
    static mode_t mode_of(const std::string& path) {
        struct stat status{};
        EXPECT_EQ(stat(path.c_str(), &status), 0);
        return status.st_mode & 0777;
    }
    std::string folder_;
};

TEST_F(Files, AFileIsReplacedInTwoSteps) {
    const std::string path = folder_ + "/a";
    EXPECT_EQ(*read_file(path, 10), std::nullopt);
    ASSERT_TRUE(write_aside(path, "one"));
    EXPECT_EQ(*read_file(path, 10), std::nullopt);
    ASSERT_TRUE(put_in_place(path));
    EXPECT_EQ(**read_file(path, 10), "one");
    EXPECT_EQ(mode_of(path), 0600);
    ASSERT_TRUE(write_aside(path, "another"));
    EXPECT_EQ(**read_file(path, 10), "one");
    ASSERT_TRUE(put_in_place(path));
    EXPECT_EQ(**read_file(path, 7), "another");
    EXPECT_EQ(read_file(path, 6).error().code, Code::TooLarge);
    EXPECT_EQ(read_file(folder_, 6).error().code, Code::Io);
    EXPECT_EQ(write_aside(folder_ + "/none/a", "x").error().code, Code::Io);
}

TEST_F(Files, ADataFolderHasOneHolder) {
    const std::string path = folder_ + "/one/two";
    {
        const auto held = DataFolder::open(path);
        ASSERT_TRUE(held);
        EXPECT_EQ(mode_of(path), 0700);
        EXPECT_EQ(mode_of(path + "/lock"), 0600);
        const auto second = DataFolder::open(path);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Code::Conflict);
        EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos);
    }
    EXPECT_TRUE(DataFolder::open(path));
    EXPECT_EQ(DataFolder::open(path + "/lock").error().code, Code::Io);
    EXPECT_EQ(DataFolder::open("/proc/none").error().code, Code::Io);
}

}  // namespace
}  // namespace dunlin
