#include "base/team.h"

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "base/check.h"
#include "gtest/gtest.h"

namespace dunlin {
namespace {

TEST(Team, EveryIndexIsDoneOnceAndBarriersOrderPhases) {
    for (const uint32_t threads : {1U, 2U, 5U}) {
        Team team(threads);
        for (int round = 0; round < 200; ++round) {
            std::vector<int> first(101, 0);
            std::vector<int> second(101, 0);
            team.run([&](Worker& worker) {
                worker.share(first.size(), 3, [&](size_t begin, size_t end) {
                    for (size_t i = begin; i < end; ++i) ++first[i];
                });
                worker.barrier();
                worker.share(second.size(), 7, [&](size_t begin, size_t end) {
                    // Reads what another worker may have written in the phase before.
                    for (size_t i = begin; i < end; ++i) second[i] += first[100 - i];
                });
            });
            ASSERT_EQ(std::accumulate(second.begin(), second.end(), 0), 101);
        }
    }
}

TEST(Team, EveryItemOfEveryPartIsDoneOnceWhoeverDoesIt) {
    for (const uint32_t threads : {1U, 2U, 5U}) {
        Team team(threads);
        for (int round = 0; round < 200; ++round) {
            // Parts of unequal size, some of them empty; more than one loop, so more than one
            // phase.
            std::vector<std::vector<int>> done(threads);
            for (uint32_t part = 0; part < threads; ++part)
                done[part].assign((part * 37 + static_cast<uint32_t>(round)) % 50, 0);
            team.run([&](Worker& worker) {
                for (int loop = 0; loop < 3; ++loop) {
                    worker.deal(
                        4, [&](size_t part) { return done[part].size(); },
                        [&](size_t part, size_t begin, size_t end) {
                            for (size_t i = begin; i < end; ++i) ++done[part][i];
                        });
                    worker.barrier();
                }
            });
            for (const auto& part : done)
                for (const int times : part) ASSERT_EQ(times, 3);
        }
    }
}

TEST(Team, AWorkerReadsOnInItsOwnPartAndOthersHelpFromTheEnd) {
    constexpr size_t kItems = 100;
    Team team(2);
    std::vector<size_t> own, helped;
    std::atomic<bool> begun = false, has_help = false;
    team.run([&](Worker& worker) {
        worker.deal(
            1, [](size_t part) { return part == 0 ? kItems : 0; },
            [&](size_t, size_t item, size_t) {
                const bool owner = worker.rank() == 0;
                (owner ? own : helped).push_back(item);
                (owner ? begun : has_help) = true;
                while (!begun || !has_help) std::this_thread::yield();
            });
    });
    EXPECT_EQ(own.size() + helped.size(), kItems);
    for (size_t i = 0; i < own.size(); ++i) EXPECT_EQ(own[i], i);
    for (size_t i = 0; i < helped.size(); ++i) EXPECT_EQ(helped[i], kItems - 1 - i);
}

TEST(Team, PartsOfAnySizeAreDealtOut) {
    constexpr size_t kItems = 200'000;  // more than pieces can be counted
    Team team(2);
    std::atomic<size_t> sum = 0;
    team.run([&](Worker& worker) {
        worker.deal(
            1, [](size_t) { return kItems; },
            [&](size_t, size_t begin, size_t end) { sum += end - begin; });
    });
    EXPECT_EQ(sum, 2 * kItems);
}

/// Ends the program where the count that it watches stands still: who hangs cannot say so itself.
class Watchdog {
 public:
    explicit Watchdog(const std::atomic<uint64_t>& count)
        : thread_([&count](const std::stop_token& stop) {
              for (uint64_t last = 0; !stop.stop_requested(); last = count) {
                  for (int i = 0; i < 200 && !stop.stop_requested() && count == last; ++i)
                      std::this_thread::sleep_for(std::chrono::milliseconds(50));
                  CHECK(stop.stop_requested() || count != last);
              }
          }) {}

 private:
    std::jthread thread_;
};

// One goes to sleep just as the other opens the barrier, whose store waits behind others that miss
// the caches: the moment in which a wake-up can be lost. It takes up to a million tries.
TEST(Team, NobodySleepsThroughTheOpeningOfABarrier) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds(8);
    std::atomic<uint64_t> barriers = 0;
    std::atomic<uint64_t> awake = 0;
    std::atomic<bool> enough = false;
    std::vector<uint8_t> memory(256U << 20U);
    Team team(2, 0);
    const Watchdog watchdog(barriers);
    team.run([&](Worker& worker) {
        uint32_t random = worker.rank() + 1;
        const auto next = [&] { return (random = random * 1664525 + 1013904223) >> 8U; };
        for (uint64_t round = 1;; ++round) {
            if (worker.rank() == 0) enough = Clock::now() > end;
            ++awake;  // waking takes longer than the moment lasts: both start when both are awake
            while (awake < 2 * round) std::this_thread::yield();
            if (enough) return;
            for (uint32_t delay = next() % 2000; delay > 0; --delay)
                std::atomic_signal_fence(std::memory_order_seq_cst);
            worker.barrier([&] {
                // Nothing here may wait for the stores.
                barriers.store(round, std::memory_order_relaxed);
                for (int store = 0; store < 8; ++store) memory[next() % memory.size()] = 1;
            });
        }
    });
    EXPECT_GT(barriers, 0U);
}

}  // namespace
}  // namespace dunlin
