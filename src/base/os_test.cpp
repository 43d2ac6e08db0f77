#include "base/os.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/last_words.h"

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

TEST(MappedFileDeathTest, ALibrarysOwnMapThatIsCutIsNamedInTheLastWords) {
    const std::string path = make_file("librarys");
    ASSERT_TRUE(MappedFile::open(path));
    const int fd = open(path.c_str(), O_RDWR);
    const auto* map =
        static_cast<const volatile char*>(mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE, fd, 0));
    auto* words = static_cast<char*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_EQ(ftruncate(fd, 5000), 0);
    EXPECT_DEATH(
        {
            keep_last_words({words, 4096});
            (void)map[kBytes - 1];
        },
        "");
    EXPECT_STREQ(words, "a file that it had mapped into memory was cut short");
    close(fd);
    std::remove(path.c_str());
}

TEST(ProcessUse, IsThatOfAProcessWhichRuns) {
    const ProcessUse before = process_use();
    EXPECT_GT(before.resident_bytes, uint64_t{1} << 20);
    EXPECT_GE(before.open_files, 3U);
    const std::ifstream one_more("/proc/self/statm");
    volatile double sum = 0;
    while (process_use().processor_s < before.processor_s + 0.02) sum = sum + 1;
    EXPECT_EQ(process_use().open_files, before.open_files + 1);
}

TEST(Usable, IsSomethingAndNotMoreThanTheMachineHas) {
    EXPECT_GE(usable_cores(), 1U);
    EXPECT_LE(usable_cores(), static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN)));
    EXPECT_GT(usable_memory_bytes(), uint64_t{1} << 20);
}

}  // namespace
}  // namespace dunlin
