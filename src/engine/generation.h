#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "runner/runner.h"

namespace dunlin {

struct TokenLogprob {
    std::string bytes;  // the token's bytes; may be a part of a character
    float logprob = 0;
    TokenId id = -1;
    struct Top {
        std::string bytes;
        float logprob = 0;
        TokenId id = -1;
    };
    std::vector<Top> top;  // the likeliest, best first, as many as were asked for
};

/// How an answer ended. A deadline or a failure is a Failed event, never an End.
enum class End : uint8_t { Stop, Length, Cancelled };
std::string_view to_string(End end);  // "stop", "length", "cancelled"

struct Waiting {
    enum class For : uint8_t { Load, Queue } what = For::Queue;
    uint32_t position = 0;  // in the queue, from 1
};
struct Started {  // HTTP 200 may leave now
    uint32_t prompt_tokens = 0, cached_tokens = 0;
    Reuse why = Reuse::FirstUse;
};
struct Text {  // whole characters, stop strings removed
    uint32_t choice = 0;
    std::string utf8;
    std::vector<TokenId> tokens;  // the ids behind this piece, in order
    /// Where they were asked for: one an id, but none for the token that ends an answer: it is no
    /// part of the text, and OpenAI's answers leave it out too.
    std::vector<TokenLogprob> logprobs;
};
struct Finished {
    uint32_t choice = 0;
    End end = End::Stop;
    std::string stop;  // the stop string that matched; empty for an end-of-text token
};
struct Usage {
    uint32_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
};
struct Timings {  // since submit(); a remote engine fills what it knows
    std::optional<double> queue_ms, prefill_ms, first_token_ms, decode_ms;
};
struct Done {
    Usage usage;
    Timings timings;
};
struct Failed {
    Error error;
    Usage usage;
};
using Event = std::variant<Waiting, Started, Text, Finished, Done, Failed>;

/// An append-only log of one answer (n choices). Events are numbered from 0 and follow
///     Waiting* (Failed | Started (Text | Finished)* (Done | Failed))
/// with exactly one Finished a choice before Done. Any number of readers, each with its own
/// position, may come and go: resuming, a second tab and a session writer are all just readers.
/// Bounded by max_tokens x n; the engine never waits for a reader. [any thread]
class Generation {
 public:
    virtual ~Generation() = default;

    /// Appends up to `events_max` events numbered from `from` on to `out`; never blocks.
    /// Returns how many.
    virtual size_t read(uint64_t from, size_t events_max, std::vector<Event>& out) const = 0;

    /// Calls `once`, exactly once, when there is an event numbered `from` or the log has ended (at
    /// once if so); kAtEnd waits for the end alone. It may run on the engine's thread: it must only
    /// post to the reader's own.
    static constexpr uint64_t kAtEnd = UINT64_MAX;
    virtual void wake_on_event(uint64_t from, std::move_only_function<void() noexcept> once) = 0;

    /// The rows leave the batch within a step; what was written stays, and the log ends in
    /// Finished{Cancelled} and Done. Harmless after the end.
    virtual void cancel() noexcept = 0;
};

/// Whether nothing follows this event.
bool is_last(const Event& event);

/// Blocks until there is an event numbered `from` or the log has ended. For readers with a thread
/// of their own; never on the engine's.
void wait_for_event(Generation& log, uint64_t from);

}  // namespace dunlin
