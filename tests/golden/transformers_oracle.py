"""What Hugging Face transformers computes from a llama GGUF file: its weights dequantized to float32 by
the PyPI package `gguf`, put into LlamaForCausalLM. Needs torch, transformers, tokenizers, gguf, numpy.

usage: transformers_oracle.py MODEL.gguf TEXT.txt OUT.json
    writes 64 greedy tokens after each of 20 prompts, and the perplexity of TEXT
"""

import json
import math
import sys

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}
# Heads have a size of their own, which the model computes with; only this check wants them to fill hidden_size.
LlamaConfig.__class_validators__ = [check for check in LlamaConfig.__class_validators__
                                    if check.__name__ != "validate_architecture"]
GREEDY_TOKENS = 64
PROMPTS = [
    "The capital of France is", "Once upon a time, in a village by the sea,",
    "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nSay hello.<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nName three colours.<|im_end|>\n"
    "<|im_start|>assistant\n",
    "def fibonacci(n):\n    ", "#include <stdio.h>\n\nint main(void) {\n", "SELECT name, age FROM users WHERE",
    "你好，请介绍一下北京。", "<|im_start|>user\n写一首关于春天的诗。<|im_end|>\n<|im_start|>assistant\n",
    "Le petit prince habitait une planète", "Die Würde des Menschen", "🙂🚀 Emoji story: 👩‍👩‍👧‍👦 went to",
    "1, 2, 3, 4, 5, 6,", "3.14159 is the value of", "{\"name\": \"Ada\", \"born\": ", "   \n\n\t indented\t",
    "Q: Why is the sky blue?\nA:", "A", "The quick brown fox jumps over the lazy dog. " * 40,
]


def parameter_name(name: str) -> str:
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
             "output.weight": "lm_head.weight"}
    if name in whole:
        return whole[name]
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.weight"


def halves_apart(rows: np.ndarray, heads: int) -> np.ndarray:
    """GGUF keeps the rotary pairs of q and k side by side, transformers half a head apart."""
    size = rows.shape[0] // heads
    return rows.reshape(heads, size // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def load(path: str) -> tuple[LlamaForCausalLM, dict]:
    reader = GGUFReader(path)
    meta = {key: field.contents() for key, field in reader.fields.items()}
    heads = meta["llama.attention.head_count"]
    kv_heads = meta["llama.attention.head_count_kv"]
    state = {}
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        rows = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(shape)
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            rows = halves_apart(rows, heads if ".attn_q." in tensor.name else kv_heads)
        state[parameter_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(rows))
    tied = "lm_head.weight" not in state
    if tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    hidden = meta["llama.embedding_length"]
    config = LlamaConfig(
        vocab_size=state["model.embed_tokens.weight"].shape[0], hidden_size=hidden,
        intermediate_size=meta["llama.feed_forward_length"], num_hidden_layers=meta["llama.block_count"],
        num_attention_heads=heads, num_key_value_heads=kv_heads,
        head_dim=meta.get("llama.attention.key_length", hidden // heads),
        max_position_embeddings=meta["llama.context_length"],
        rms_norm_eps=meta["llama.attention.layer_norm_rms_epsilon"],
        rope_theta=meta["llama.rope.freq_base"], tie_word_embeddings=tied,
        bos_token_id=None, eos_token_id=None, attn_implementation="eager")
    model = LlamaForCausalLM(config)
    model.load_state_dict(state, strict=True)
    return model.eval(), meta


def tokenizer(meta: dict) -> Tokenizer:
    """SmolLM's byte-level BPE: every digit alone, then GPT-2's pieces."""
    tokens = meta["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    kinds = meta["tokenizer.ggml.token_type"]
    made.add_special_tokens([AddedToken(t, special=True) for t, kind in zip(tokens, kinds) if kind == 3])
    return made


@torch.no_grad()
def greedy(model: LlamaForCausalLM, prompt: list[int], count: int) -> tuple[list[int], float]:
    """The tokens, and how close the closest of the choices was: the least lead of a best logit."""
    made, lead, past, feed = [], math.inf, None, prompt
    for _ in range(count):
        out = model(torch.tensor([feed]), past_key_values=past, use_cache=True)
        past = out.past_key_values
        best = torch.topk(out.logits[0, -1], 2)
        made.append(int(best.indices[0]))
        lead = min(lead, float(best.values[0] - best.values[1]))
        feed = made[-1:]
    return made, lead


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, tokens: list[int]) -> float:
    """Of every token but the first, each given all before it."""
    logits = model(torch.tensor([tokens])).logits[0, :-1].double()
    return float(torch.exp(torch.nn.functional.cross_entropy(logits, torch.tensor(tokens[1:]))))


def main() -> None:
    model_path, text_path, out_path = sys.argv[1:]
    model, meta = load(model_path)
    encode = tokenizer(meta).encode
    with open(text_path, encoding="utf-8") as file:
        text = encode(file.read()).ids
    result = {"model": meta["general.name"], "text": text_path.rsplit("/", 1)[-1], "text_tokens": text,
              "perplexity": perplexity(model, text), "prompts": []}
    for prompt in PROMPTS:
        ids = encode(prompt).ids
        made, lead = greedy(model, ids, GREEDY_TOKENS)
        result["prompts"].append({"text": prompt, "tokens": ids, "greedy": made, "least_lead": round(lead, 5)})
    with open(out_path, "w", encoding="utf-8") as file:
        file.write(json.dumps(result, ensure_ascii=False).replace('{"text": ', '\n{"text": ') + "\n")


if __name__ == "__main__":
    main()
