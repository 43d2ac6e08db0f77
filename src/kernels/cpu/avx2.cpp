#if defined(__x86_64__)

#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_avx2.h"

namespace dunlin {

extern constinit const Kernels kAvx2Kernels = make_kernels<Avx2>(Isa::Avx2);

}  // namespace dunlin

#endif
