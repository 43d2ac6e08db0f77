#include "models/random_weights.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace dunlin {
namespace {

/// Where a block keeps the half that scales all of it, and what is typical there.
struct ScalePlace {
    size_t scale = 0;
    float size = 0.01F;
    bool has_min = false;  // the half after the scale
    float min = 0;
};
ScalePlace scale_place(DType dtype) {
    switch (dtype) {
        case DType::Q4_1:
            return {.has_min = true, .min = -0.075F};
        case DType::Q5_1:
            return {.size = 0.005F, .has_min = true, .min = -0.0775F};
        case DType::Q4_K:
            return {.size = 0.0003F, .has_min = true, .min = 0.0022F};
        case DType::Q5_K:
            return {.size = 0.00015F, .has_min = true, .min = 0.0022F};
        case DType::Q6_K:
            return {.scale = 208, .size = 0.00003F};
        case DType::Q8_0:
            return {.size = 0.0006F};
        default:
            return {};
    }
}

}  // namespace

uint32_t RandomWeights::next() {
    state_ = state_ * 1664525U + 1013904223U;
    return state_ >> 8;
}

void RandomWeights::add(const std::string& name, DType dtype, uint64_t columns, uint64_t rows) {
    TensorView view{dtype, {{columns, rows, 1, 1}}, {}};
    const auto bytes = tensor_bytes(dtype, view.shape);
    CHECK(bytes);
    std::vector<std::byte>& data = data_[name];
    data.resize(*bytes);
    const BlockFormat& format = block_format(dtype);
    const ScalePlace place = scale_place(dtype);
    const bool plain = format.block_elements == 1;
    for (size_t at = 0; at < data.size(); at += format.block_bytes) {
        if (plain) {
            const float value = (static_cast<float>(next() & 0xffff) - 32768.0F) / 32768.0F * 0.08F;
            const uint16_t half =
                dtype == DType::F16 ? float_to_half(value) : float_to_bfloat(value);
            if (dtype == DType::F32)
                std::memcpy(&data[at], &value, 4);
            else
                std::memcpy(&data[at], &half, 2);
            continue;
        }
        for (size_t i = 0; i < format.block_bytes; ++i)
            data[at + i] = static_cast<std::byte>(next());
        const uint16_t scale = float_to_half(place.size);
        const uint16_t min = float_to_half(place.min);
        std::memcpy(&data[at + place.scale], &scale, 2);
        if (place.has_min) std::memcpy(&data[at + 2], &min, 2);
    }
    view.data = data;
    views_[name] = view;
}

void RandomWeights::add_llama(const ModelConfig& c, DType matrix, DType head) {
    const auto add_matrix = [&](const std::string& name, uint64_t columns, uint64_t rows) {
        const bool fits = columns % block_format(matrix).block_elements == 0;
        add(name, fits ? matrix : DType::F32, columns, rows);
    };
    const auto add_ones = [&](const std::string& name) {
        add(name, DType::F32, c.hidden_size, 1);
        const float one = 1.0F;
        for (size_t i = 0; i < c.hidden_size; ++i) std::memcpy(&data_[name][4 * i], &one, 4);
    };
    const uint64_t q_size = uint64_t{c.num_attention_heads} * c.head_dim;
    const uint64_t kv_size = uint64_t{c.num_key_value_heads} * c.head_dim;
    add("token_embd.weight", head, c.hidden_size, c.vocab_size);
    if (!c.tie_word_embeddings) add("output.weight", head, c.hidden_size, c.vocab_size);
    add_ones("output_norm.weight");
    for (uint32_t i = 0; i < c.num_hidden_layers; ++i) {
        const std::string at = "blk." + std::to_string(i) + ".";
        add_ones(at + "attn_norm.weight");
        add_ones(at + "ffn_norm.weight");
        add_matrix(at + "attn_q.weight", c.hidden_size, q_size);
        add_matrix(at + "attn_k.weight", c.hidden_size, kv_size);
        add_matrix(at + "attn_v.weight", c.hidden_size, kv_size);
        add_matrix(at + "attn_output.weight", q_size, c.hidden_size);
        add_matrix(at + "ffn_gate.weight", c.hidden_size, c.intermediate_size);
        add_matrix(at + "ffn_up.weight", c.hidden_size, c.intermediate_size);
        add_matrix(at + "ffn_down.weight", c.intermediate_size, c.hidden_size);
    }
}

const TensorView* RandomWeights::find(std::string_view name) const {
    const auto at = views_.find(name);
    return at == views_.end() ? nullptr : &at->second;
}

std::vector<std::string_view> RandomWeights::names() const {
    std::vector<std::string_view> out;
    for (const auto& [name, view] : views_) out.push_back(name);
    return out;
}

}  // namespace dunlin
