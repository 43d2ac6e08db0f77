#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor_view.h"

namespace dunlin {

/// Writes one row of `tensor` as float32: what its bytes mean, by the formulas of ggml's block
/// formats (https://github.com/ggml-org/ggml, ggml-quants.c), one element after another. The slow
/// truth that the packed kernels are compared with.
/// REQUIRES: block_format(tensor.dtype).computed, row < tensor.shape.rows(),
///           out.size() == tensor.shape.columns().
void dequantize_row(const TensorView& tensor, uint64_t row, std::span<float> out);

}  // namespace dunlin
