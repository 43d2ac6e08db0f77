#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/generation.h"
#include "runner/runner.h"
#include "sampling/sampler.h"

namespace dunlin {

struct Message {
    std::string role;     // system, user, assistant, tool
    std::string content;  // text parts joined
};

/// One request: typed, validated, no JSON.
struct Request {
    std::variant<std::vector<Message>, std::string, std::vector<TokenId>>
        prompt;  // chat, text, ids
    SamplingParams sampling;
    uint32_t choices = 1;                // n
    std::optional<uint32_t> max_tokens;  // nothing: what the context and the server's limit leave
    std::vector<std::string> stop;
    bool ignore_eos = false;
    std::optional<uint32_t> logprobs;  // the number of alternatives, 0 for the chosen token alone
    bool end_logprobs = false;         // also those of the token that ended the answer
};

/// A request that was rendered, tokenized and found able to fit. Refusals happen before this.
class Prepared {
 public:
    virtual ~Prepared() = default;
    virtual uint32_t prompt_tokens() const = 0;
    virtual uint32_t max_tokens() const = 0;  // after limits
    /// Empty where an upstream keeps them to itself.
    virtual std::span<const TokenId> prompt_ids() const { return {}; }
};

struct Admission {
    Digest domain = {};                       // whose prefixes may be shared
    std::optional<int64_t> deadline_us = {};  // on the engine's Clock
};

struct EngineState {
    bool ready = false;    // takes requests
    bool stalled = false;  // work is there and no step ended for too long
    uint32_t running = 0, queued = 0;
    Room room;
    MemoryReport memory;
};

/// One loaded model: messages and typed parameters in, events out. The local engine is a scheduler
/// over a Runner; another may forward to an upstream, so above this door tokens are only counts or
/// opaque ids.
class Engine {
 public:
    virtual ~Engine() = default;

    /// On a worker thread: renders the template, tokenizes, checks that it can ever fit. Bounded
    /// time, no side effect. Errors: Invalid (template), TooLong (with both numbers).
    virtual Expected<std::unique_ptr<Prepared>> prepare(const Request& request,
                                                        std::stop_token stop) = 0;

    /// [any thread] Never blocks. A refusal (Overloaded, NotReady) is a Failed event before
    /// Started.
    virtual std::shared_ptr<Generation> submit(std::unique_ptr<Prepared> prepared,
                                               const Admission& admission) = 0;

    /// [any thread]
    virtual Expected<std::vector<TokenId>> tokenize(std::string_view text, bool special) const = 0;
    virtual Expected<std::string> detokenize(std::span<const TokenId> ids) const = 0;
    virtual const Capabilities& capabilities() const = 0;
    virtual EngineState state() const = 0;

    /// Takes no new requests, lets those under way finish until `until_us` on the engine's Clock,
    /// then ends the rest with NotReady. Blocks.
    virtual void drain(int64_t until_us) = 0;
};

}  // namespace dunlin
