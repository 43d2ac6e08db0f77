#pragma once

#include <functional>
#include <optional>

#include "runner/runner.h"

namespace dunlin {

/// What every Runner checks before it takes a batch, so that all of them refuse the same with the
/// same words: nothing where the batch is fine, else the error that launch() owes.
/// `reserved` tells how many more tokens fit into what is reserved for a sequence.
std::optional<Error> check_batch(const Batch& batch, const Capabilities& capabilities,
                                 const std::function<uint32_t(SeqId)>& reserved);

}  // namespace dunlin
