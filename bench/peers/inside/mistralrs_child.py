"""Runs in mistral.rs's environment: mistralrs_child.py MODEL.gguf PROMPT GENERATE; its last line is JSON."""

import json
import pathlib
import sys
import time

from mistralrs import CompletionRequest, Runner, Which


def answer(runner, tokens, generate):
    """(prompt's tokens, answer's tokens, seconds of the prompt, seconds after it)"""
    request = CompletionRequest(prompt=(" a b c d" * tokens)[:2 * tokens], model="default", max_tokens=generate,
                                temperature=0.0, ignore_eos=True)
    begin = time.monotonic()
    usage = runner.send_completion_request(request).usage
    spent = time.monotonic() - begin
    return usage.prompt_tokens, usage.completion_tokens, usage.total_prompt_time_sec, spent - usage.total_prompt_time_sec


def main():
    model, prompt, generate = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    runner = Runner(which=Which.GGUF(quantized_model_id=str(model.parent), quantized_filename=model.name),
                    prefix_cache_n=0, token_source="none")
    answer(runner, 4, 4)
    tokens, _, prompt_s, _ = answer(runner, prompt, 1)
    # The prompt gives the first token of an answer.
    _, generated, _, decode_s = answer(runner, 4, generate + 1)
    print(json.dumps({"prompt_asked": prompt, "prompt_tokens": tokens, "prompt_s": prompt_s, "generate_asked": generate,
                      "generated": generated - 1, "decode_s": decode_s}))


if __name__ == "__main__":
    main()
