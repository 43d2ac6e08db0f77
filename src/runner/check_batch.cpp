#include "runner/check_batch.h"

#include <algorithm>
#include <vector>

namespace dunlin {
namespace {

std::optional<Error> check_parts(const Batch& batch, const Capabilities& capabilities,
                                 const KeptSpan& kept) {
    for (const Span& span : batch.spans) {
        if (is_whole(span, capabilities)) continue;
        if (&span != &batch.spans.back())
            return Error{Code::Invalid, "only a batch's last span may be computed in parts"};
        if (span.parts.begin >= std::min(span.parts.end, capabilities.parts))
            return Error{Code::Invalid, "a span has no parts to compute"};
        if (span.tokens.size() > capabilities.part_tokens_max)
            return Error{Code::Invalid, "the span is above part_tokens_max"};
        if (span.outputs > 0 && !is_finished(span, capabilities))
            return Error{Code::Invalid, "a span has outputs only with its last part"};
        if (span.parts.begin > 0 && !kept.is_followed_by(span))
            return Error{Code::Invalid, "the span does not go on where one has stopped"};
    }
    return std::nullopt;
}

}  // namespace

bool KeptSpan::is_followed_by(const Span& span) const {
    return span.seq == seq_ && span.parts.begin == done_ &&
           std::equal(span.tokens.begin(), span.tokens.end(), tokens_.begin(), tokens_.end());
}

void KeptSpan::note(const Batch& batch, const Capabilities& capabilities) {
    for (const Span& span : batch.spans) {
        forget(span.seq);
        if (is_finished(span, capabilities)) continue;
        seq_ = span.seq;
        tokens_.assign(span.tokens.begin(), span.tokens.end());
        done_ = span.parts.end;
    }
}

void KeptSpan::forget(SeqId seq) {
    if (seq_ == seq) clear();
}

std::optional<Error> check_batch(const Batch& batch, const Capabilities& capabilities,
                                 const std::function<uint32_t(SeqId)>& reserved,
                                 const KeptSpan& kept) {
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
    if (auto refused = check_parts(batch, capabilities, kept)) return refused;
    std::sort(seen.begin(), seen.end());
    if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
        return Error{Code::Invalid, "a sequence has two spans in one batch"};
    for (const Span& span : batch.spans)
        if (reserved(span.seq) < span.tokens.size())
            return Error{Code::NoRoom, "a span's room was not reserved"};
    return std::nullopt;
}

}  // namespace dunlin
