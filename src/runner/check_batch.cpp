#include "runner/check_batch.h"

#include <algorithm>
#include <vector>

namespace dunlin {

std::optional<Error> check_batch(const Batch& batch, const Capabilities& capabilities,
                                 const std::function<uint32_t(SeqId)>& reserved) {
    if (batch.spans.empty()) return Error{Code::Invalid, "the batch is empty"};
    uint64_t tokens = 0, outputs = 0;
    std::vector<SeqId> seen;
    for (const Span& span : batch.spans) {
        if (span.tokens.empty() || span.outputs > span.tokens.size())
            return Error{Code::Invalid, "a span needs tokens, and no more outputs than tokens"};
        for (const TokenId token : span.tokens)
            if (token < 0 || static_cast<uint32_t>(token) >= capabilities.vocabulary)
                return Error{Code::Invalid, "a token id is outside the vocabulary"};
        tokens += span.tokens.size();
        outputs += span.outputs;
        seen.push_back(span.seq);
    }
    if (tokens > capabilities.step_tokens_max || outputs > capabilities.step_outputs_max)
        return Error{Code::Invalid, "the batch is above step_tokens_max or step_outputs_max"};
    std::sort(seen.begin(), seen.end());
    if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
        return Error{Code::Invalid, "a sequence has two spans in one batch"};
    for (const Span& span : batch.spans)
        if (reserved(span.seq) < span.tokens.size())
            return Error{Code::NoRoom, "a span's room was not reserved"};
    return std::nullopt;
}

}  // namespace dunlin
