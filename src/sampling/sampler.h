#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace dunlin {

/// How the next token is chosen from a row of logits.
struct SamplingParams {
    float temperature = 1.0F;  // 0: greedy
    int32_t top_k = 0;         // 0: off
    float top_p = 1.0F;        // 1: off
    float min_p = 0.0F;        // 0: off
    float repetition_penalty = 1.0F;
    float presence_penalty = 0.0F;
    float frequency_penalty = 0.0F;
    std::vector<std::pair<TokenId, float>> logit_bias = {};
    std::optional<uint64_t> seed = {};  // nothing: whoever prepares the request draws one
};

/// What is wrong with the numbers, if anything: Invalid, with the parameter's name. All must be
/// finite; top_p and min_p shares; temperature and top_k not negative; repetition_penalty positive.
std::optional<Error> invalid(const SamplingParams& params);

/// A token and its logit, or later its probability.
struct Candidate {
    TokenId id;
    float value;
};

/// How often a token stands in a sequence.
struct SeenToken {
    bool in_prompt = false;
    uint32_t in_answer = 0;
};

/// Chooses tokens for one sequence: the steps of steps.def, then the draw. The random number of
/// token n depends on the seed and n alone, never on the batch, so that a request gives the same
/// tokens in any company. A temperature below a millionth is greedy, as 0 is.
/// Equal values are ordered by the lower id. Not thread-safe.
class Sampler {
 public:
    /// REQUIRES: the parameters are not invalid().
    explicit Sampler(const SamplingParams& params);

    /// Every token of the sequence so far counts for the penalties: the prompt's for repetition,
    /// the answer's also for presence and frequency.
    void saw_prompt(std::span<const TokenId> tokens);

    /// The next token of the answer; remembers it. REQUIRES: logits not empty.
    TokenId next(std::span<const float> logits);

 private:
    TokenId choose(std::span<const float> logits);
    void count(TokenId token);

    SamplingParams params_;
    uint32_t index_ = 0;                               // tokens chosen so far
    std::vector<std::pair<TokenId, SeenToken>> seen_;  // by id
    std::vector<float> adjusted_;
    std::vector<Candidate> candidates_;
};

/// The log-probabilities, under the plain softmax of `logits`, of `token` and of the `top`
/// likeliest tokens, best first.
struct Logprobs {
    float token = 0;
    std::vector<Candidate> top;
};
Logprobs logprobs_of(std::span<const float> logits, TokenId token, uint32_t top);

/// A number in [0, 1) that depends on both arguments only.
double uniform(uint64_t seed, uint64_t index);

}  // namespace dunlin
