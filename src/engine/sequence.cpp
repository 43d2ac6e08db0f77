#include "engine/sequence.h"

#include <algorithm>

namespace dunlin {
namespace {

SamplingParams with_choice(SamplingParams params, uint32_t choice) {
    // Choices of one request differ in nothing but the seed.
    params.seed = params.seed.value_or(0) + choice * 0x9e3779b97f4a7c15ULL;
    return params;
}

TokenLogprob describe(const Tokenizer& tokenizer, std::span<const float> logits, TokenId token,
                      uint32_t top) {
    const Logprobs found = logprobs_of(logits, token, top);
    TokenLogprob out{.bytes = std::string(tokenizer.token_bytes(token)),
                     .logprob = found.token,
                     .id = token,
                     .top = {}};
    for (const Candidate& c : found.top)
        out.top.push_back({std::string(tokenizer.token_bytes(c.id)), c.value, c.id});
    return out;
}

}  // namespace

Sequence::Sequence(std::shared_ptr<Answer> answer, uint32_t choice, const Tokenizer& tokenizer)
    : answer_(std::move(answer)),
      choice_(choice),
      tokenizer_(&tokenizer),
      tokens_(answer_->request->prompt),
      sampler_(with_choice(answer_->request->request.sampling, choice)),
      decoder_(tokenizer),
      stops_(answer_->request->request.stop) {
    sampler_.saw_prompt(tokens_);
    pending_.choice = choice;
}

void Sequence::accept(std::span<const float> logits, const std::vector<TokenId>& end_tokens) {
    const Request& request = answer_->request->request;
    // A model may have more rows of logits than its vocabulary has tokens.
    logits = logits.first(std::min<size_t>(logits.size(), tokenizer_->size()));
    const TokenId token = sampler_.next(logits);
    tokens_.push_back(token);
    const bool ends = !request.ignore_eos &&
                      std::find(end_tokens.begin(), end_tokens.end(), token) != end_tokens.end();
    pending_.tokens.push_back(token);
    if (request.logprobs && (!ends || request.end_logprobs))
        pending_.logprobs.push_back(describe(*tokenizer_, logits, token, *request.logprobs));
    if (!ends) pending_.utf8 += stops_.push(decoder_.push(token));
    if (!stops_.matched().empty())
        finished_ = {choice_, End::Stop, stops_.matched()};
    else if (ends)
        finished_ = {choice_, End::Stop, {}};
    else if (tokens_.size() >= tokens_max())
        finished_ = {choice_, End::Length, {}};
    if (finished_ && stops_.matched().empty()) {
        pending_.utf8 += stops_.push(decoder_.finish());
        pending_.utf8 += stops_.finish();
    }
}

std::optional<Text> Sequence::take_text(bool last) {
    if (pending_.utf8.empty() && !(last && !pending_.tokens.empty())) return std::nullopt;
    Text out = std::move(pending_);
    pending_ = {};
    pending_.choice = choice_;
    return out;
}

}  // namespace dunlin
