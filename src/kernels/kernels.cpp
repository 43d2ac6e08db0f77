#include "kernels/kernels.h"

#include "kernels/cpu/make_kernels.h"

namespace dunlin {

const Kernels& kernels_for(Isa isa) {
#if DUNLIN_AMX
    if (isa == Isa::Amx) return kAmxKernels;
#endif
#if defined(__x86_64__)
    if (isa == Isa::Avx512Bf16) return kAvx512Bf16Kernels;
    if (isa == Isa::Avx512) return kAvx512Kernels;
    if (isa == Isa::AvxVnni) return kAvxVnniKernels;
    if (isa == Isa::Avx2) return kAvx2Kernels;
#endif
#if defined(__aarch64__)
    if (isa == Isa::NeonDot) return kNeonDotKernels;
    if (isa == Isa::Neon) return kNeonKernels;
#endif
    return kPortableKernels;
}

}  // namespace dunlin
