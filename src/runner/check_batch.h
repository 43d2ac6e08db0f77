#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "runner/runner.h"

namespace dunlin {

/// Whether the span is computed in this step from its first part to its last.
inline bool is_whole(const Span& span, const Capabilities& capabilities) {
    return span.parts.begin == 0 && span.parts.end >= capabilities.parts;
}
/// Whether the span's last part is in this step, so that its sequence grows.
inline bool is_finished(const Span& span, const Capabilities& capabilities) {
    return span.parts.end >= capabilities.parts;
}

/// The span that a Runner keeps between two of its parts, if any.
class KeptSpan {
 public:
    /// Whether the span goes on where this one stopped.
    bool is_followed_by(const Span& span) const;
    /// These spans were computed.
    void note(const Batch& batch, const Capabilities& capabilities);
    /// What was computed of the sequence no longer counts.
    void forget(SeqId seq);
    void clear() { seq_ = 0; }

 private:
    SeqId seq_ = 0;  // 0: none
    std::vector<TokenId> tokens_;
    uint32_t done_ = 0;  // parts
};

/// What every Runner checks before it takes a batch, so that all of them refuse the same with the
/// same words: nothing where the batch is fine, else the error that launch() owes.
/// `reserved` tells how many more tokens fit into what is reserved for a sequence.
std::optional<Error> check_batch(const Batch& batch, const Capabilities& capabilities,
                                 const std::function<uint32_t(SeqId)>& reserved,
                                 const KeptSpan& kept = {});

}  // namespace dunlin
