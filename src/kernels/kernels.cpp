#include "kernels/kernels.h"

#include "kernels/cpu/make_kernels.h"

namespace dunlin {

const Kernels& kernels_for(Isa isa) {
#if defined(__x86_64__)
    if (isa == Isa::Amx) return kAmxKernels;
    if (isa == Isa::Avx512) return kAvx512Kernels;
    if (isa == Isa::Avx2) return kAvx2Kernels;
#endif
    return kPortableKernels;
}

}  // namespace dunlin
