#if defined(__x86_64__)

#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_avx2.h"

namespace dunlin {

extern constinit const Kernels kAvxVnniKernels = make_kernels<AvxVnni>(Isa::AvxVnni);

}  // namespace dunlin

#endif
