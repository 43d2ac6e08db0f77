#pragma once

#include <memory>

#include "text/tokenizer.h"

namespace dunlin {

/// For a model file without a vocabulary: ids go in and come out, texts are refused.
std::unique_ptr<Tokenizer> make_id_tokenizer(uint32_t size);

}  // namespace dunlin
