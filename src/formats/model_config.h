#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/gguf.h"

namespace dunlin {

/// How rotary positions are stretched beyond the length a model was trained at.
struct RopeScaling {
    enum class Type : uint8_t { None, Linear, Yarn } type = Type::None;
    float factor = 1.0F;
    // Yarn (Peng et al., arXiv 2309.00071): pairs that turn at least beta_fast times within the
    // original length keep their frequency, those that turn at most beta_slow times are divided by
    // the factor, with a ramp in between; all rotated elements grow by attn_factor.
    float attn_factor = 1.0F, beta_fast = 32.0F, beta_slow = 1.0F;
    uint32_t original_max_position_embeddings = 0;
    // Divides each frequency: the tensor rope_freqs.weight, which is how files carry llama3.
    std::vector<float> freq_factors;
};

/// The numbers that define a model, in the words of a checkpoint's config.json.
/// Every value has been checked to be in a range that later arithmetic can rely on.
struct ModelConfig {
    std::string architecture;  // "llama"
    uint32_t vocab_size = 0;
    uint32_t hidden_size = 0;
    uint32_t intermediate_size = 0;
    uint32_t num_hidden_layers = 0;
    uint32_t num_attention_heads = 0;
    uint32_t num_key_value_heads = 0;
    uint32_t head_dim = 0;
    uint32_t rotary_dim = 0;  // leading elements of a head that rotate
    uint32_t max_position_embeddings = 0;
    float rms_norm_eps = 1e-5F;
    float rope_theta = 10000.0F;
    // GGUF stores the q and k rows of llama so that elements 2i and 2i+1 form a rotary pair;
    // Hugging Face's layout pairs i and i + rotary_dim / 2.
    bool rope_interleaved = false;
    RopeScaling rope_scaling;
    bool tie_word_embeddings = false;  // the head is the embedding
};

/// From the `<architecture>.*` keys. Errors: Corrupt (a key is missing or absurd; names it),
/// Unsupported.
Expected<ModelConfig> model_config_from_gguf(const GgufFile& file);

}  // namespace dunlin
