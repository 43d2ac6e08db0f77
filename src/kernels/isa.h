#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

// GCC takes the numbers of tiles only as literals, so its programs are without that set.
#if defined(__x86_64__) && defined(__linux__) && defined(__clang__)
#define DUNLIN_AMX 1
#else
#define DUNLIN_AMX 0
#endif

namespace dunlin {

/// Instruction sets that kernels are built for, of each machine slowest first. All give the same
/// bits.
enum class Isa : uint8_t { Portable, Avx2, AvxVnni, Avx512, Avx512Bf16, Amx, Neon, NeonDot };

std::string_view to_string(Isa isa);

/// Those this machine can run; never empty.
std::vector<Isa> available_isas();

/// The last of available_isas(), or what DUNLIN_ISA names ("portable", "avx2", "avxvnni", "avx512",
/// "avx512bf16", "amx", "neon", "neondot") where this machine can run it: for tests and
/// comparisons.
Isa chosen_isa();

}  // namespace dunlin
