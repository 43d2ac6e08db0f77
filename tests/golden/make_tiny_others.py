"""Makes two small models with random weights of architectures that only llama.cpp runs, for the contract of the
Runner: tests/data/tiny_sliding.gguf (gemma3: a window of 16 tokens in all layers but every third) and
tests/data/tiny_recurrent.gguf (mamba: a state that cannot be rolled back).

usage: make_tiny_others.py REPOSITORY   (needs gguf and numpy)
"""

import sys

import gguf
import numpy as np

VOCABULARY, CONTEXT, HIDDEN = 131, 1024, 64


class Model:
    def __init__(self, path: str, architecture: str, layers: int) -> None:
        self.random = np.random.default_rng(11)
        self.out = gguf.GGUFWriter(path, architecture)
        self.out.add_name("tiny")
        self.out.add_block_count(layers)
        self.out.add_context_length(CONTEXT)
        self.out.add_embedding_length(HIDDEN)
        self.out.add_layer_norm_rms_eps(1e-5)
        self.matrix("token_embd.weight", VOCABULARY, HIDDEN)
        self.norm("output_norm.weight", HIDDEN)

    def matrix(self, name: str, *shape: int) -> None:
        self.out.add_tensor(name, self.random.normal(0, 0.15, shape).astype(np.float16))

    def vector(self, name: str, values: np.ndarray) -> None:
        self.out.add_tensor(name, values.astype(np.float32))

    def norm(self, name: str, length: int) -> None:
        self.vector(name, self.random.normal(1, 0.1, length))

    def write(self) -> None:
        self.out.write_header_to_file()
        self.out.write_kv_data_to_file()
        self.out.write_tensors_to_file()
        self.out.close()


def sliding(path: str) -> None:
    layers, heads, head, inner = 3, 4, 32, 96
    model = Model(path, "gemma3", layers)
    out = model.out
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(1)
    out.add_key_length(head)
    out.add_value_length(head)
    out.add_rope_freq_base(1e6)
    out.add_sliding_window(16)
    out.add_sliding_window_pattern(3)
    for layer in range(layers):
        at = f"blk.{layer}."
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            model.norm(at + name + ".weight", HIDDEN)
        for name in ("attn_q_norm", "attn_k_norm"):
            model.norm(at + name + ".weight", head)
        model.matrix(at + "attn_q.weight", heads * head, HIDDEN)
        model.matrix(at + "attn_k.weight", head, HIDDEN)
        model.matrix(at + "attn_v.weight", head, HIDDEN)
        model.matrix(at + "attn_output.weight", HIDDEN, heads * head)
        model.matrix(at + "ffn_gate.weight", inner, HIDDEN)
        model.matrix(at + "ffn_up.weight", inner, HIDDEN)
        model.matrix(at + "ffn_down.weight", HIDDEN, inner)
    model.write()


def recurrent(path: str) -> None:
    layers, inner, kernel, state, rank = 2, 2 * HIDDEN, 4, 16, 4
    model = Model(path, "mamba", layers)
    out = model.out
    out.add_feed_forward_length(0)
    out.add_head_count(0)
    out.add_ssm_conv_kernel(kernel)
    out.add_ssm_inner_size(inner)
    out.add_ssm_state_size(state)
    out.add_ssm_time_step_rank(rank)
    for layer in range(layers):
        at = f"blk.{layer}."
        model.norm(at + "attn_norm.weight", HIDDEN)
        model.matrix(at + "ssm_in.weight", 2 * inner, HIDDEN)
        model.vector(at + "ssm_conv1d.weight", model.random.normal(0, 0.5, (inner, kernel)))
        model.vector(at + "ssm_conv1d.bias", model.random.normal(0, 0.1, inner))
        model.matrix(at + "ssm_x.weight", rank + 2 * state, inner)
        model.vector(at + "ssm_dt.weight", model.random.normal(0, 0.3, (inner, rank)))
        model.vector(at + "ssm_dt.bias", model.random.normal(-2, 0.3, inner))
        model.vector(at + "ssm_a", -np.tile(np.arange(1, state + 1), (inner, 1)))
        model.vector(at + "ssm_d", np.ones(inner))
        model.matrix(at + "ssm_out.weight", HIDDEN, inner)
    model.write()


if __name__ == "__main__":
    data = sys.argv[1] + "/tests/data/"
    sliding(data + "tiny_sliding.gguf")
    recurrent(data + "tiny_recurrent.gguf")
