#include "formats/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace dunlin {
namespace {

/// Reads the keys `<architecture>.<name>` and keeps the first error.
class KeyReader {
 public:
    KeyReader(const GgufFile& file, std::string architecture)
        : file_(file), prefix_(std::move(architecture) + ".") {}

    uint32_t count(const std::string& name, uint32_t least, uint32_t most,
                   std::optional<uint32_t> otherwise = {}) {
        const auto value = file_.get_uint(prefix_ + name);
        if (!value && otherwise && file_.value(prefix_ + name) == nullptr) return *otherwise;
        if (!value || *value < least || *value > most) {
            complain(name, value ? std::to_string(*value) : "missing or not a number",
                     std::to_string(least) + " to " + std::to_string(most));
            return least;
        }
        return static_cast<uint32_t>(*value);
    }

    float number(const std::string& name, double least, double most, double otherwise) {
        const auto value = file_.get_float(prefix_ + name);
        if (!value && file_.value(prefix_ + name) == nullptr) return static_cast<float>(otherwise);
        if (!value || !(*value >= least && *value <= most)) {
            complain(name, value ? std::to_string(*value) : "not a number", "in a sane range");
            return static_cast<float>(least);
        }
        return static_cast<float>(*value);
    }

    std::optional<std::string_view> text(const std::string& name) const {
        return file_.get_string(prefix_ + name);
    }

    void complain(const std::string& name, const std::string& what, const std::string& allowed) {
        if (error) return;
        error = Error{Code::Corrupt,
                      "metadata '" + prefix_ + name + "' is " + what + "; it must be " + allowed};
    }

    std::optional<Error> error;

 private:
    const GgufFile& file_;
    std::string prefix_;
};

Expected<std::vector<float>> read_freq_factors(const GgufFile& file, uint32_t pairs) {
    const TensorView* tensor = file.find("rope_freqs.weight");
    if (tensor == nullptr) return std::vector<float>{};
    if (tensor->dtype != DType::F32 || tensor->shape.columns() != pairs ||
        tensor->shape.rows() != 1)
        return fail(Code::Corrupt, "tensor 'rope_freqs.weight' must hold " + std::to_string(pairs) +
                                       " F32 numbers");
    std::vector<float> factors(pairs);
    for (uint32_t i = 0; i < pairs; ++i) {
        std::memcpy(&factors[i], tensor->data.data() + 4 * size_t{i}, 4);
        if (!(factors[i] > 0) || !std::isfinite(factors[i]))
            return fail(Code::Corrupt,
                        "tensor 'rope_freqs.weight' holds a number that is not positive");
    }
    return factors;
}

Expected<void> read_rope_scaling(const GgufFile& file, KeyReader& keys, ModelConfig& c) {
    RopeScaling& scaling = c.rope_scaling;
    // Such files may have these tensors and no type.
    std::string_view type = keys.text("rope.scaling.type").value_or("none");
    if (file.find("rope_factors_long.weight") != nullptr) type = "longrope";
    if (type == "none") return {};
    if (type != "linear" && type != "yarn")
        return fail(Code::Unsupported, "rope scaling of type '" + std::string(type) +
                                           "' is not supported by the native engine; linear, yarn "
                                           "and llama3 are");
    scaling.factor = keys.number("rope.scaling.factor", 1, 1e6, 1);
    scaling.type = RopeScaling::Type::Linear;
    if (type == "linear") return {};
    scaling.type = RopeScaling::Type::Yarn;
    scaling.original_max_position_embeddings =
        keys.count("rope.scaling.original_context_length", 1, 1 << 27);
    // 0.1 ln(factor) + 1 is what the paper found; the keys are factors upon it.
    scaling.attn_factor = keys.number("rope.scaling.attn_factor", 1e-3, 1e3, 1) *
                          keys.number("rope.scaling.yarn_attn_factor", 1e-3, 1e3, 1) *
                          (0.1F * std::log(scaling.factor) + 1.0F);
    scaling.beta_fast = keys.number("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32);
    scaling.beta_slow = keys.number("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1);
    if (scaling.beta_fast < scaling.beta_slow)
        keys.complain("rope.scaling.yarn_beta_fast", "below yarn_beta_slow", "at least that");
    if (keys.number("rope.scaling.yarn_ext_factor", -1e6, 1e6, 1) != 1.0F)
        return fail(Code::Unsupported, "yarn with an ext_factor other than 1 is not supported");
    return {};
}

}  // namespace

Expected<ModelConfig> model_config_from_gguf(const GgufFile& file) {
    const auto architecture = file.get_string("general.architecture");
    if (!architecture) return fail(Code::Corrupt, "metadata 'general.architecture' is missing");
    KeyReader keys(file, std::string(*architecture));
    ModelConfig c;
    c.architecture = *architecture;
    c.hidden_size = keys.count("embedding_length", 1, 1 << 16);
    c.intermediate_size = keys.count("feed_forward_length", 1, 1 << 20);
    c.num_hidden_layers = keys.count("block_count", 1, 1024);
    c.num_attention_heads = keys.count("attention.head_count", 1, 1024);
    c.num_key_value_heads = keys.count("attention.head_count_kv", 1, 1024, c.num_attention_heads);
    c.head_dim = keys.count("attention.key_length", 1, 512,
                            std::max(1U, c.hidden_size / c.num_attention_heads));
    c.rotary_dim = keys.count("rope.dimension_count", 0, 512, c.head_dim);
    c.max_position_embeddings = keys.count("context_length", 1, 1 << 27);
    c.rms_norm_eps = keys.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-5);
    c.rope_theta = keys.number("rope.freq_base", 1, 1e12, 10000);
    c.rope_interleaved = true;
    if (c.num_attention_heads % c.num_key_value_heads != 0)
        keys.complain("attention.head_count", std::to_string(c.num_attention_heads),
                      "a multiple of attention.head_count_kv");
    if (c.rotary_dim % 2 != 0 || c.rotary_dim > c.head_dim)
        keys.complain("rope.dimension_count", std::to_string(c.rotary_dim),
                      "even and at most the head's size");
    if (keys.count("attention.value_length", 1, 512, c.head_dim) != c.head_dim)
        keys.complain("attention.value_length", "not the key's length", "equal to it");

    if (auto done = read_rope_scaling(file, keys, c); !done) return std::unexpected(done.error());
    if (keys.error) return std::unexpected(*keys.error);

    auto factors = read_freq_factors(file, c.rotary_dim / 2);
    if (!factors) return std::unexpected(factors.error());
    c.rope_scaling.freq_factors = std::move(*factors);

    const TensorView* embedding = file.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.rows() == 0 ||
        embedding->shape.rows() > (1U << 24))
        return fail(Code::Corrupt, "tensor 'token_embd.weight' is missing or has an absurd shape");
    c.vocab_size = static_cast<uint32_t>(embedding->shape.rows());
    c.tie_word_embeddings = file.find("output.weight") == nullptr;
    return c;
}

}  // namespace dunlin
