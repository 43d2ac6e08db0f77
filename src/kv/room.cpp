#include "kv/room.h"

#include <string>

namespace dunlin {

std::optional<Error> refuse_opening(const Opening& opening) {
    if (opening.tokens_max > opening.tokens_most)
        return Error{Code::TooLong, "a sequence of " + std::to_string(opening.tokens_max) +
                                        " tokens can never fit; at most " +
                                        std::to_string(opening.tokens_most) + " do"};
    if (opening.prompt_tokens > opening.tokens_max)
        return Error{Code::TooLong, "a prompt of " + std::to_string(opening.prompt_tokens) +
                                        " tokens does not fit into a sequence of " +
                                        std::to_string(opening.tokens_max)};
    if (opening.open >= opening.sequences_max)
        return Error{Code::NoRoom, "all " + std::to_string(opening.sequences_max) +
                                       " places for sequences are taken"};
    return std::nullopt;
}

}  // namespace dunlin
