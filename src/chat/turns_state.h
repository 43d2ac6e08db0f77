#pragma once

// Private to chat: what Turns keeps of each answer.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "chat/turns.h"

namespace dunlin {

/// One answer from the moment its session is reserved.
struct Entry {
    std::string session;         // empty: none
    std::shared_ptr<Turn> turn;  // nothing while it is being prepared
    std::atomic<bool> ended{false};
    // Under State::mutex:
    bool forgotten = false;                // not to be resumed
    std::optional<int64_t> ended_us = {};  // when it was stored, told and billed
    // What has been read of it; tick()'s alone:
    uint64_t next = 0;
    bool started = false;
    bool unwritten = false;  // has what is not stored yet
    int64_t written_us = 0;
    StoredMessage answer;
    Usage usage;
    std::optional<Error> error;
};

struct Turns::State : std::enable_shared_from_this<Turns::State> {
    State(Registry& r, Sessions& s, Workers& w, const Clock& c, Metrics& m, const TurnSettings& t)
        : registry(r), sessions(s), workers(w), clock(c), metrics(m), settings(t) {}

    Registry& registry;
    Sessions& sessions;
    Workers& workers;
    const Clock& clock;
    Metrics& metrics;
    const TurnSettings settings;

    mutable std::mutex mutex;  // guards what follows
    std::list<std::shared_ptr<Entry>> entries;
    std::deque<int64_t> ends_us;  // when the last answers ended
    bool something_ended = false;
    std::condition_variable_any wake;

    std::mutex ticking;  // one tick() at a time
    int64_t expired_us = INT64_MIN;

    /// The entry of a session; nullptr where there is none. REQUIRES: the mutex is held.
    Entry* find(std::string_view session) const;
    /// Takes the session for a new answer. Errors: Conflict.
    Expected<std::shared_ptr<Entry>> reserve(const std::string& session);
    void give_back(const std::shared_ptr<Entry>& entry);
    /// Begins to follow the turn that `entry` was reserved for.
    void follow(const std::shared_ptr<Entry>& entry, std::shared_ptr<Turn> turn);

    void tick();
    void wait(const std::stop_token& stop);

 private:
    void read(Entry& entry);
    void write(const std::vector<std::shared_ptr<Entry>>& ended,
               const std::vector<std::shared_ptr<Entry>>& grown);
    bool take_back(Entry& entry);
    void bill(const Entry& entry);
    void forget(int64_t now);
    void remove_expired(int64_t now);
};

}  // namespace dunlin
