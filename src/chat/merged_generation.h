#pragma once

#include <memory>
#include <vector>

#include "engine/generation.h"

namespace dunlin {

/// The answers to several prompts as one Generation: choice c of part p is choice p * choices + c.
/// Its log follows the rules of a single one: one Started, usage summed in one Done, and the first
/// failure of a part fails the whole and cancels the others. REQUIRES: parts are not empty.
std::shared_ptr<Generation> merge_generations(std::vector<std::shared_ptr<Generation>> parts,
                                              uint32_t choices);

}  // namespace dunlin
