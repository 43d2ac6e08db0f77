#if defined(__aarch64__)

#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_neon.h"

namespace dunlin {

extern constinit const Kernels kNeonDotKernels = make_kernels<NeonDot>(Isa::NeonDot);

}  // namespace dunlin

#endif
