#include "base/team.h"

#include <numeric>

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

}  // namespace
}  // namespace dunlin
