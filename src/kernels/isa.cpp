#include "kernels/isa.h"

#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if DUNLIN_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace dunlin {

namespace {

#if defined(__x86_64__)
bool has_avx_vnni() {
    constexpr unsigned kAvxVnni = 1U << 4;  // CPUID 7.1, EAX
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
}

/// Tiles are 8 KiB of registers that the system keeps only for processes which ask for them.
bool may_use_tiles() {
#if DUNLIN_AMX
    constexpr unsigned kTile = 1U << 24, kTileInt8 = 1U << 25;   // CPUID 7, EDX
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    if ((d & kTile) == 0 || (d & kTileInt8) == 0) return false;
    static const bool allowed = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return allowed;
#else
    return false;
#endif
}
#endif

#if defined(__aarch64__)
bool has_dotprod() {
#if defined(__linux__)
    constexpr unsigned long kAsimdDp = 1UL << 20;  // of Linux' hardware capabilities
    return (getauxval(AT_HWCAP) & kAsimdDp) != 0;
#else
    return false;
#endif
}
#endif

}  // namespace

std::string_view to_string(Isa isa) {
    switch (isa) {
        case Isa::Portable:
            return "portable";
        case Isa::Avx2:
            return "avx2";
        case Isa::AvxVnni:
            return "avxvnni";
        case Isa::Avx512:
            return "avx512";
        case Isa::Avx512Bf16:
            return "avx512bf16";
        case Isa::Amx:
            return "amx";
        case Isa::Neon:
            return "neon";
        case Isa::NeonDot:
            return "neondot";
    }
    return "portable";
}

std::vector<Isa> available_isas() {
    std::vector<Isa> isas = {Isa::Portable};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        isas.push_back(Isa::Avx2);
    if (isas.back() == Isa::Avx2 && has_avx_vnni()) isas.push_back(Isa::AvxVnni);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        isas.push_back(Isa::Avx512);
    if (isas.back() == Isa::Avx512 && __builtin_cpu_supports("avx512bf16"))
        isas.push_back(Isa::Avx512Bf16);
    if (isas.back() == Isa::Avx512Bf16 && may_use_tiles()) isas.push_back(Isa::Amx);
#endif
#if defined(__aarch64__)
    isas.push_back(Isa::Neon);
    if (has_dotprod()) isas.push_back(Isa::NeonDot);
#endif
    return isas;
}

Isa chosen_isa() {
    const auto isas = available_isas();
    if (const char* name = std::getenv("DUNLIN_ISA"))
        for (const Isa isa : isas)
            if (to_string(isa) == name) return isa;
    return isas.back();
}

}  // namespace dunlin
