#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/workers.h"
#include "chat/turn.h"
#include "engine/engine.h"
#include "registry/registry.h"
#include "sessions/sessions.h"

namespace dunlin {

struct TurnSettings {
    uint32_t context_messages = 20;  // of a session that the model sees, at least; 0: all
    uint32_t detached_s = 300;       // how long a stored answer goes on with nobody reading
    uint32_t resumable_s = 60;       // how long an ended answer can be read again
    uint32_t write_ms = 500;         // between two writes of an answer under way
    bool own_thread = true;          // false: only tick() does the work, for tests
};

/// An answer that is asked for.
struct TurnRequest {
    std::string owner;
    std::string model;              // a listed id
    std::vector<Request> requests;  // one a prompt; exactly one of messages with a session
    std::optional<int64_t> deadline_us = {};  // on the clock
    /// Leave out the oldest messages where the model's context is too small for all.
    bool may_trim = false;
    uint32_t truncated_characters = 0;  // cut out before, for the facts
    /// Where the question and the answer are stored. The session's earlier messages then come
    /// before those of the request, which are its system messages: the question is in `place`. An
    /// empty `place->session` makes a session with the fields below.
    std::optional<TurnPlace> place = {};
    SessionFields new_session = {};
};

/// All answers under way. Each is started here, written into its session here, billed here, once,
/// and lives here until some time after its end, whoever has gone. [any thread]
class Turns {
 public:
    /// The references must outlive this; `workers` must be stopped before.
    Turns(Registry& registry, Sessions& sessions, Workers& workers, const Clock& clock,
          Metrics& metrics, const TurnSettings& settings);
    ~Turns();

    /// Loads the model if need be, prepares, stores the question, submits; then calls `begun` once,
    /// on a worker, perhaps at the very end of begin(). A refusal leaves nothing behind.
    /// Errors: those of Registry::acquire, Engine::prepare and Sessions::plan; Conflict where the
    /// session has an answer under way; Overloaded; Cancelled once `gone` was requested.
    using Begun = std::move_only_function<void(Expected<TurnReader>)>;
    void begin(TurnRequest request, std::stop_token gone, Begun begun);

    /// The answer of that session that is under way or ended not long ago. Errors: NotFound.
    Expected<TurnReader> resume(std::string_view owner, std::string_view session);
    /// Whether the session has an answer under way, and so may not be changed otherwise.
    bool is_answering(std::string_view session) const;
    /// Ends the session's answer if there is one, and forgets it.
    void drop(std::string_view owner, std::string_view session);

    /// How long the queue's place number `position` may take to come, from how fast answers ended
    /// lately; nothing where that is not known.
    std::optional<int64_t> eta_ms(uint32_t position) const;

    /// Writes what is due, ends answers that nobody reads, forgets ended ones. Its own thread calls
    /// it, four times a second and at each end of an answer.
    void tick();

 private:
    struct State;
    class Start;
    std::shared_ptr<State> state_;
    std::jthread thread_;
};

}  // namespace dunlin
