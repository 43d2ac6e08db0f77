#if defined(__x86_64__)

#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_avx512.h"

namespace dunlin {

extern constinit const Kernels kAvx512Bf16Kernels = make_kernels<Avx512Bf16>(Isa::Avx512Bf16);

}  // namespace dunlin

#endif
