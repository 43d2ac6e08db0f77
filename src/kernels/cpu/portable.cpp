#include "kernels/cpu/make_kernels.h"
#include "kernels/cpu/simd_portable.h"

namespace dunlin {

extern constinit const Kernels kPortableKernels = make_kernels<Portable>(Isa::Portable);

}  // namespace dunlin
