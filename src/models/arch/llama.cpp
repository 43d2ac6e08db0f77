// Llama and its many relatives: pre-norm blocks of grouped-query attention with rotary positions
// and a gated SiLU feed-forward (Touvron et al., arXiv 2302.13971 and 2307.09288).

#include "models/layers.h"

namespace dunlin {
namespace {

struct Layer {
    std::vector<float> input_layernorm, post_attention_layernorm;
    Linear q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;
};

class Llama final : public Model {
 public:
    Llama(const ModelSource& source, WeightLoader& load)
        : config_(source.config), kernels_(source.kernels), rotary_(make_rotary(config_)) {
        const ModelConfig& c = config_;
        const uint64_t q_size = uint64_t{c.num_attention_heads} * c.head_dim;
        const uint64_t kv_size = uint64_t{c.num_key_value_heads} * c.head_dim;
        embed_tokens_ = load.linear("token_embd.weight", c.hidden_size, c.vocab_size);
        for (uint32_t i = 0; i < c.num_hidden_layers; ++i) {
            const std::string at = "blk." + std::to_string(i) + ".";
            Layer& layer = layers_.emplace_back();
            layer.input_layernorm = load.vector(at + "attn_norm.weight", c.hidden_size);
            layer.q_proj = load.linear(at + "attn_q.weight", c.hidden_size, q_size);
            layer.k_proj = load.linear(at + "attn_k.weight", c.hidden_size, kv_size);
            layer.v_proj = load.linear(at + "attn_v.weight", c.hidden_size, kv_size);
            layer.o_proj = load.linear(at + "attn_output.weight", q_size, c.hidden_size);
            layer.post_attention_layernorm = load.vector(at + "ffn_norm.weight", c.hidden_size);
            layer.gate_proj =
                load.linear(at + "ffn_gate.weight", c.hidden_size, c.intermediate_size);
            layer.up_proj = load.linear(at + "ffn_up.weight", c.hidden_size, c.intermediate_size);
            layer.down_proj =
                load.linear(at + "ffn_down.weight", c.intermediate_size, c.hidden_size);
        }
        norm_ = load.vector("output_norm.weight", c.hidden_size);
        if (!c.tie_word_embeddings)
            lm_head_ = load.linear("output.weight", c.hidden_size, c.vocab_size);
        weight_bytes_ = load.bytes();
        for (const Layer& layer : layers_) {
            for (const Linear* one :
                 {&layer.q_proj, &layer.k_proj, &layer.v_proj, &layer.gate_proj, &layer.up_proj})
                forms_read_.normed.add(one->weight.format());
            forms_read_.attended.add(layer.o_proj.weight.format());
            forms_read_.gated.add(layer.down_proj.weight.format());
        }
        forms_read_.last.add(head().weight.format());
    }

    const ModelConfig& config() const override { return config_; }
    uint64_t weight_bytes() const override { return weight_bytes_; }
    const FormsRead& forms_read() const override { return forms_read_; }

    void forward(Worker& worker, const ForwardBatch& batch, KvStore& kv,
                 Workspace& space) const override {
        Pass pass{worker, batch, kv, space, config_, kernels_};
        embed(pass, embed_tokens_.weight, rotary_);
        for (uint32_t i = 0; i < config_.num_hidden_layers; ++i) {
            const Layer& layer = layers_[i];
            pass.batch = batch.in_layer(i);
            if (pass.rows() == 0) continue;
            rms_norm(pass, space.hidden, layer.input_layernorm, space.normed);
            const Linear* const qkv[] = {&layer.q_proj, &layer.k_proj, &layer.v_proj};
            linear(pass, pass.rows(), space.normed, qkv, space.qkv);
            attention(pass, i, rotary_);
            linear_residual(pass, space.attended, layer.o_proj, space.hidden);
            rms_norm(pass, space.hidden, layer.post_attention_layernorm, space.normed);
            gated_silu(pass, space.normed, layer.gate_proj, layer.up_proj, space.gated);
            linear_residual(pass, space.gated, layer.down_proj, space.hidden);
        }
        pass.batch = batch;
        keep_stopped(pass, config_.num_hidden_layers);
        if (batch.output_rows.empty()) return;
        const Linear* const matrices[] = {&head()};
        rms_norm_outputs(pass, space.hidden, norm_, space.last);
        linear(pass, batch.output_rows.size(), space.last, matrices, space.logits);
    }

 private:
    const Linear& head() const { return config_.tie_word_embeddings ? embed_tokens_ : lm_head_; }

    const ModelConfig config_;
    const Kernels& kernels_;
    const Rotary rotary_;
    Linear embed_tokens_, lm_head_;
    std::vector<Layer> layers_;
    std::vector<float> norm_;
    uint64_t weight_bytes_ = 0;
    FormsRead forms_read_;
};

}  // namespace

Expected<std::unique_ptr<Model>> load_llama(const ModelSource& source) {
    WeightLoader load(source);
    auto model = std::make_unique<Llama>(source, load);
    if (load.error()) return std::unexpected(*load.error());
    return model;
}

}  // namespace dunlin
