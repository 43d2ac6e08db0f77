#include "kernels/isa.h"

#include <cstdlib>

namespace dunlin {

std::string_view to_string(Isa isa) {
    switch (isa) {
        case Isa::Portable:
            return "portable";
        case Isa::Avx2:
            return "avx2";
        case Isa::Avx512:
            return "avx512";
    }
    return "portable";
}

std::vector<Isa> available_isas() {
    std::vector<Isa> isas = {Isa::Portable};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        isas.push_back(Isa::Avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        isas.push_back(Isa::Avx512);
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
