#pragma once

#include <cstdint>
#include <string>

namespace dunlin {

/// The machine as a benchmark finds it: what it is, and what its threads reached a moment before.
struct Machine {
    std::string cpu;                 // the model's name, as the system gives it
    std::string instruction_set;     // the widest that our kernels use here
    uint32_t cores = 0;              // that the system shows us
    uint32_t threads = 0;            // that were measured, together
    double read_gb_per_s = 0;        // reading 1 GiB in order, best of four passes
    double multiply_gmac_per_s = 0;  // f32 multiply-adds in registers, best of four
    std::string multiply_kind;       // which instructions those were: "AVX-512 f32"
};

/// Takes about two seconds, and 1 GiB of memory while it runs.
Machine measure_machine(uint32_t threads);

/// Waits until this process uses no processor time, so that the threads of one engine do not spin
/// beside another's measurement. Gives up after two seconds.
void wait_until_idle();

}  // namespace dunlin
