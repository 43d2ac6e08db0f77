#include "app/bench_machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <fstream>
#include <span>
#include <thread>

#include "base/check.h"
#include "base/pages.h"
#include "base/team.h"
#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dunlin {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr int kPasses = 4;
constexpr uint64_t kReadBytes = uint64_t{1} << 30;
constexpr uint64_t kMultiplyRounds = 20'000'000;

double seconds_since(SteadyClock::time_point begin) {
    return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

double read_rate(Team& team) {
    const auto memory = map_pages(kReadBytes);  // as weights are kept
    CHECK(memory);
    const std::span data(reinterpret_cast<uint64_t*>(memory->get()), kReadBytes / 8);
    std::ranges::fill(data, 1);
    double best = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
        std::atomic<uint64_t> sum{0};
        const auto begin = SteadyClock::now();
        team.run([&](Worker& worker) {
            const size_t part = data.size() / worker.size() / 8 * 8;
            uint64_t lanes[8] = {};
            for (size_t i = worker.rank() * part; i < (worker.rank() + 1) * part; i += 8)
                for (size_t k = 0; k < 8; ++k) lanes[k] += data[i + k];
            for (const uint64_t lane : lanes) sum += lane;
        });
        best = std::max(best, static_cast<double>(sum) * 8 / seconds_since(begin));
    }
    return best;
}

// Ten independent chains cover the latency of a multiply-add (4 cycles) on two units. Each returns
// a number that depends on all of its work, so that none of it can be left out.
constexpr int kChains = 10;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) float multiply_avx512(uint64_t rounds) {
    __m512 sums[kChains], factor = _mm512_set1_ps(0.999F), addend = _mm512_set1_ps(0.001F);
    for (__m512& sum : sums) sum = addend;
    for (uint64_t i = 0; i < rounds; ++i)
        for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, factor, addend);
    for (int i = 1; i < kChains; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
    return _mm512_cvtss_f32(sums[0]);
}
__attribute__((target("avx2,fma"))) float multiply_avx2(uint64_t rounds) {
    __m256 sums[kChains], factor = _mm256_set1_ps(0.999F), addend = _mm256_set1_ps(0.001F);
    for (__m256& sum : sums) sum = addend;
    for (uint64_t i = 0; i < rounds; ++i)
        for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, factor, addend);
    for (int i = 1; i < kChains; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
    return _mm256_cvtss_f32(sums[0]);
}
#endif
float multiply_portable(uint64_t rounds) {
    constexpr int kLanes = 4;
    float sums[kChains][kLanes] = {};
    for (uint64_t i = 0; i < rounds; ++i)
        for (auto& chain : sums)
            for (float& sum : chain) sum = sum * 0.999F + 0.001F;
    float total = 0;
    for (const auto& chain : sums)
        for (const float sum : chain) total += sum;
    return total;
}

struct Multiply {
    const char* kind;
    int lanes;
    float (*run)(uint64_t rounds);
};

Multiply widest_multiply() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return {"AVX-512 f32", 16, multiply_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return {"AVX2 f32", 8, multiply_avx2};
#endif
    return {"portable f32", 4, multiply_portable};
}

double multiply_rate(Team& team, const Multiply& multiply) {
    double best = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
        std::atomic<int> finite{0};
        const auto begin = SteadyClock::now();
        team.run([&](Worker&) { finite += multiply.run(kMultiplyRounds) < 100 ? 1 : 0; });
        CHECK(finite == static_cast<int>(team.size()));
        const double done = static_cast<double>(kMultiplyRounds) * kChains * multiply.lanes;
        best = std::max(best, done * team.size() / seconds_since(begin));
    }
    return best;
}

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return "unknown";
}

}  // namespace

Machine measure_machine(uint32_t threads) {
    Team team(threads);
    const Multiply multiply = widest_multiply();
    return {.cpu = cpu_name(),
            .instruction_set = std::string(to_string(chosen_isa())),
            .cores = std::max(1U, std::thread::hardware_concurrency()),
            .threads = threads,
            .read_gb_per_s = read_rate(team) / 1e9,
            .multiply_gmac_per_s = multiply_rate(team, multiply) / 1e9,
            .multiply_kind = multiply.kind};
}

void wait_until_idle() {
    const auto spent_us = [] {
        timespec now{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
    };
    for (int tries = 0; tries < 100; ++tries) {
        const auto before = spent_us();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (spent_us() - before < 1000) return;
    }
}

}  // namespace dunlin
