#pragma once

#include "kernels/cpu/attention.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rows.h"

namespace dunlin {

/// Every kernel, written once over 16 lanes, for the instruction set V.
template <class V>
constexpr Kernels make_kernels(Isa isa) {
    return {.isa = isa,
            .rms_norm = rms_norm<V>,
            .quantize = quantize<V>,
            .round_to_bfloats = round_to_bfloats<V>,
            .multiply_quantized = multiply_quantized<V>,
            .multiply_bfloats = multiply_bfloats<V>,
            .multiply_plain = multiply_plain<V>,
            .silu_mul = silu_mul<V>,
            .attend = attend<V>,
            .attend_span = attend_span<V>,
            .merge_spans = merge_spans<V>,
            .store_kv = store_kv<V>};
}

extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvxVnniKernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAmxKernels;
extern const Kernels kNeonKernels;
extern const Kernels kNeonDotKernels;

}  // namespace dunlin
