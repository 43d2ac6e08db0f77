#if defined(__aarch64__)

#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_neon.h"

namespace dunlin {

extern constinit const Kernels kNeonKernels = make_kernels<Neon>(Isa::Neon);

}  // namespace dunlin

#endif
