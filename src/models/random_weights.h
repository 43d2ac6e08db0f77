#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/model_config.h"
#include "formats/weight_source.h"

namespace dunlin {

/// Random weights of a given shape and type, held in memory: for tests and benchmarks that need a
/// model's arithmetic but not its meaning. Blocks get small scales, so that activations stay
/// ordinary. The same seed gives the same bytes.
class RandomWeights final : public WeightSource {
 public:
    explicit RandomWeights(uint32_t seed) : state_(seed) {}

    void add(const std::string& name, DType dtype, uint64_t columns, uint64_t rows);

    /// All tensors of a llama: norms of ones, matrices of `matrix`, the embedding (and head) of
    /// `head`; matrices whose columns are no multiple of a block are F32.
    void add_llama(const ModelConfig& config, DType matrix, DType head);

    const TensorView* find(std::string_view name) const override;
    std::vector<std::string_view> names() const override;
    void release(const TensorView&) const override {}

 private:
    uint32_t next();
    uint32_t state_;
    std::map<std::string, std::vector<std::byte>, std::less<>> data_;
    std::map<std::string, TensorView, std::less<>> views_;
};

}  // namespace dunlin
