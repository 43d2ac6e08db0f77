#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "runner/runner.h"

namespace dunlin {

/// A Runner without a model, for tests of everything around it: real room and prefixes, but the
/// state of a token is a digest of all tokens before it, and the logits are made from that digest.
/// So any mistake about which tokens came before changes the answer.
struct FakeSettings {
    uint32_t vocabulary = 256;
    uint32_t blocks = 64;
    uint32_t sequences_max = 8;
    uint32_t step_outputs_max = 0;  // 0: sequences_max
    uint32_t sequence_tokens_max = 512;
    uint32_t step_tokens_max = 64;
    uint32_t step_us = 0;       // how long a step takes, by itself
    uint32_t token_us = 0;      // and for each of its tokens
    uint32_t depth_us = 0;      // and for each 16 of a prompt's and each 1,000 tokens before them
    uint32_t parts = 1;         // of a span (Capabilities::parts)
    uint64_t fail_at_step = 0;  // this launch() fails with DeviceLost; 0: none
    uint64_t nan_at_step = 0;   // this step's first output is not finite; 0: none
    uint64_t hang_at_step = 0;  // this launch() returns only after cancel(); 0: none
    // Is moved on by the time that a step takes, and nobody sleeps; must outlive the runner.
    ManualClock* clock = nullptr;
    // Every so many-th step breaks half-way: some of its tokens have their state, and collect()
    // fails with DeviceLost; 0: none.
    uint64_t break_every_steps = 0;
    // One slot a sequence instead of blocks, which are then not used: nothing is shared, and a slot
    // takes back at most rollback_max tokens.
    bool fixed_slots = false;
    uint32_t rollback_max = UINT32_MAX;
    // Above 0: one answer token in so many depends on all tokens before it as usual; the others on
    // the last one alone, so that what is written has been written before.
    uint32_t surprise_every = 0;
};

std::unique_ptr<Runner> make_fake_runner(const FakeSettings& settings);

/// The token that greedy sampling of a fake runner with these settings gives after `tokens`.
TokenId fake_next_token(std::span<const TokenId> tokens, uint32_t vocabulary,
                        uint32_t surprise_every = 0);

}  // namespace dunlin
