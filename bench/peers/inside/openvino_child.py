"""Runs in OpenVINO's environment: openvino_child.py MODEL.gguf PROMPT GENERATE CONTEXT STREAMS THREADS; its last line is JSON.

Its pipeline for many requests is stepped by hand: a step that computes a prompt whole is the prefill, and steps in which
every stream gives a token are the decoding.
"""

import json
import sys
import time

import numpy
import openvino
import openvino_genai


class Pipeline:
    def __init__(self, model, step_tokens, threads, streams_max, context):
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = False
        scheduler.max_num_batched_tokens = step_tokens
        scheduler.max_num_seqs = streams_max
        scheduler.num_kv_blocks = streams_max * (context // 16 + 2)
        self.pipeline = openvino_genai.ContinuousBatchingPipeline(
            model, scheduler, "CPU", {"INFERENCE_NUM_THREADS": threads})
        self.random = numpy.random.default_rng(7)
        self.requests = 0

    def steps(self, streams, prompt, generate):
        """(seconds, how many streams gave a token) of each step, until all have their tokens."""
        handles = []
        for _ in range(streams):
            # Below the least vocabulary of the models that are compared.
            tokens = openvino.Tensor(self.random.integers(100, 40000, (1, prompt)))
            config = openvino_genai.GenerationConfig(max_new_tokens=generate, ignore_eos=True, do_sample=False)
            handles.append(self.pipeline.add_request(self.requests, tokens, config))
            self.requests += 1
        while self.pipeline.has_non_finished_requests():
            begin = time.monotonic()
            self.pipeline.step()
            spent = time.monotonic() - begin
            gave = 0
            for handle in handles:
                if handle.can_read():
                    handle.read()
                    gave += 1
            yield spent, gave


def prefill(pipeline, prompt):
    for _ in range(2):  # once to warm up
        (spent, _), *more = pipeline.steps(1, prompt, 1)
        if more:
            sys.exit("the prompt took more than one step")
    return {"kind": "prefill", "streams": 1, "tokens": prompt, "seconds": spent}


def decode(pipeline, streams, prompt, generate):
    # A stream whose prompt came first goes on while the others' are computed.
    whole = [spent for spent, gave in pipeline.steps(streams, prompt, generate + streams + 4) if gave == streams]
    # The first ones begin with a prompt, or with buffers of a new size.
    whole = whole[2:2 + generate]
    return {"kind": "decode", "streams": streams, "tokens": streams * len(whole), "seconds": sum(whole)}


def main():
    model, prompt, generate, context, streams, threads = sys.argv[1:]
    prompt, generate, context, streams = int(prompt), int(generate), int(context), [int(count) for count in streams.split(",")]
    pipeline = Pipeline(model, prompt, int(threads), max(streams), max(prompt, context) + generate + max(streams) + 4)
    found = [prefill(pipeline, prompt)]
    for count in streams:
        found.append(decode(pipeline, count, 1 if count == 1 else context, generate))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
