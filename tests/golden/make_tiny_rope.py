"""What transformers computes from tests/data/tiny_plain.gguf under each way of stretching rotary positions:
writes tests/golden/tiny_rope.json. The prompt is longer than the original length of each.

usage: make_tiny_rope.py REPOSITORY   (needs what transformers_oracle.py needs)
"""

import json
import sys

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers_oracle import greedy, load

GREEDY_TOKENS = 16
PROMPT_TOKENS = 150
CASES = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    "yarn with its own numbers": {
        "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 100, "attention_factor": 1.5,
        "beta_fast": 12.0, "beta_slow": 2.0},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64,
               "low_freq_factor": 1.0, "high_freq_factor": 4.0},
}


def stretched(plain: LlamaForCausalLM, rope: dict) -> LlamaForCausalLM:
    config = plain.config.to_dict()
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    config.pop("rope_parameters", None)
    config["rope_theta"] = theta
    config["rope_scaling"] = dict(rope)
    model = LlamaForCausalLM(LlamaConfig(**config, attn_implementation="eager"))
    model.load_state_dict(plain.state_dict(), strict=True)
    return model.eval()


def main() -> None:
    root = sys.argv[1]
    plain, _ = load(f"{root}/tests/data/tiny_plain.gguf")
    frequencies = plain.model.rotary_emb.inv_freq.double()
    tokens = np.random.default_rng(8).integers(0, plain.config.vocab_size, PROMPT_TOKENS).tolist()
    results = []
    for name, rope in CASES.items():
        model = stretched(plain, rope)
        made, lead = greedy(model, tokens, GREEDY_TOKENS)
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1].tolist()
        result = {"name": name, "rope": rope, "tokens": tokens, "greedy": made, "least_lead": round(lead, 5),
                  "last_logits": [round(x, 6) for x in logits]}
        if rope["rope_type"] == "llama3":  # a GGUF file carries what it comes to
            result["freq_factors"] = (frequencies / model.model.rotary_emb.inv_freq.double()).tolist()
        results.append(result)
    with open(f"{root}/tests/golden/tiny_rope.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(results).replace('{"name"', '\n{"name"') + "\n")


main()
