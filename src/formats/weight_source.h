#pragma once

#include <string_view>
#include <vector>

#include "tensor/tensor_view.h"

namespace dunlin {

/// The named tensors of a checkpoint. Every view has been checked against the file before it can
/// be seen here. Views live as long as the source. [any thread]
class WeightSource {
 public:
    virtual ~WeightSource() = default;

    /// The tensor of that name, or nullptr.
    virtual const TensorView* find(std::string_view name) const = 0;
    virtual std::vector<std::string_view> names() const = 0;

    /// The caller has its own copy now: the pages behind the tensor may leave memory. Reading it
    /// again stays right, only slower.
    virtual void release(const TensorView& tensor) const = 0;
};

}  // namespace dunlin
