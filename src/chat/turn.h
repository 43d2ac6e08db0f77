#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/generation.h"
#include "sessions/sessions.h"

namespace dunlin {

/// What is known of an answer before its first event.
struct TurnFacts {
    std::string model;        // the listed id
    uint64_t arithmetic = 0;  // of its engine
    uint32_t prompt_tokens = 0, max_tokens = 0;
    uint32_t omitted_messages = 0;      // the oldest, left out of the context
    uint32_t truncated_characters = 0;  // cut out of the question
    // Of a session; empty without one:
    std::string session, question, answer;
};

/// One answer under way, seen by its readers: the events of its Generation, but those that end it
/// only after the session has it. So `done` is an acknowledgement, whatever carries it: JSON, SSE
/// and WebSocket are three readers of this. Made and kept by Turns. [any thread]
class Turn final : public Generation, public std::enable_shared_from_this<Turn> {
 public:
    /// `plan`: where the answer is stored; nothing: nowhere.
    Turn(std::shared_ptr<Generation> inner, TurnFacts facts, std::string owner,
         std::optional<TurnPlan> plan, bool made_session, const Clock& clock);

    size_t read(uint64_t from, size_t events_max, std::vector<Event>& out) const override;
    void wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) override;
    void cancel() noexcept override { inner_->cancel(); }

    const TurnFacts& facts() const { return facts_; }
    const std::string& owner() const { return owner_; }
    /// Once the last event was read: whether what belongs into a session is there.
    bool saved() const { return saved_.load(std::memory_order_acquire); }

 private:
    friend class Turns;
    friend class TurnReader;

    void join() noexcept;
    void leave() noexcept;
    /// Since when nobody reads, on the clock; nothing while somebody does.
    std::optional<int64_t> alone_since_us() const;
    /// Lets the readers see the end.
    void release(bool saved);
    void pass(uint64_t from, std::move_only_function<void() noexcept> once) noexcept;

    const std::shared_ptr<Generation> inner_;
    const TurnFacts facts_;
    const std::string owner_;
    const std::optional<TurnPlan> plan_;
    const bool made_session_;
    const Clock& clock_;
    std::atomic<bool> saved_{false};

    mutable std::mutex mutex_;  // guards what follows
    bool released_;
    uint32_t readers_ = 0;
    int64_t alone_since_us_ = 0;
    std::vector<std::move_only_function<void() noexcept>> held_;
};

/// Somebody who reads a Turn, until leave() or the destructor. When the last reader of a stateless
/// turn leaves, it is cancelled; one that is stored goes on for a while without.
class TurnReader {
 public:
    explicit TurnReader(std::shared_ptr<Turn> turn) : turn_(std::move(turn)) { turn_->join(); }
    TurnReader(TurnReader&& other) noexcept
        : turn_(std::move(other.turn_)), left_(other.left_.exchange(true)) {}
    TurnReader& operator=(TurnReader&&) = delete;
    ~TurnReader() { leave(); }

    /// Harmless the second time. [any thread]
    void leave() noexcept {
        if (!left_.exchange(true)) turn_->leave();
    }
    Turn& operator*() const { return *turn_; }
    Turn* operator->() const { return turn_.get(); }

 private:
    std::shared_ptr<Turn> turn_;
    std::atomic<bool> left_{false};
};

}  // namespace dunlin
