#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <vector>

#include "engine/engine.h"

namespace dunlin {

/// How many of the oldest of `count` messages stay out of a session's context: at least the last
/// `keep` are in, and the beginning moves in steps of ten, so that the cached prefix of ten turns
/// stays valid. `keep` 0: all are in.
uint32_t omitted_messages(uint32_t count, uint32_t keep);

/// A conversation that fits the model.
struct Fitted {
    std::unique_ptr<Prepared> prepared;
    uint32_t omitted = 0;  // of the oldest messages, system messages not counted
};

/// Prepares a chat request without the oldest `omitted` messages and, where `may_trim`, without as
/// many more as it takes to fit the context and leave room for an answer. System messages at the
/// beginning and the last message always stay; what is left never begins with an answer or with a
/// tool's result. On a worker; renders about log2(messages) times at most.
/// Errors: those of Engine::prepare. REQUIRES: request.prompt holds messages.
Expected<Fitted> prepare_fitting(Engine& engine, const Request& request, uint32_t omitted,
                                 bool may_trim, const std::stop_token& stop);

}  // namespace dunlin
