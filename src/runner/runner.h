#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/ids.h"
#include "kv/room.h"

namespace dunlin {

/// What a Runner can and cannot do. Constant for its life; shown in /models/:id.
struct Capabilities {
    uint32_t vocabulary = 0;           // width of a row of logits
    uint32_t hidden = 0;               // width of a hidden state
    uint32_t sequences_max = 0;        // open at once
    uint32_t sequence_tokens_max = 0;  // the context: prompt and answer together
    uint32_t step_tokens_max = 0;      // tokens in one launch()
    uint32_t step_outputs_max = 0;     // rows of logits from one launch()
    uint32_t rollback_max = 0;     // trim() by at most so many tokens keeps the rest; 0: recurrent
    bool batch_invariant = false;  // a row's bits depend on neither companions nor slices
    bool fixed_slots = false;      // room is one slot a sequence: reserve() fails only at its end
    bool shares_prefixes = false;  // match() finds what open sequences have, not only closed ones
    uint32_t parts = 1;            // a span may be computed in so many steps (Parts)
    // The tokens of such a span; as many share one reading of what is before them. 0: parts is 1.
    uint32_t part_tokens_max = 0;
    uint64_t arithmetic = 0;  // same value => same bits; part of the system fingerprint
};

/// What a sequence is, given once when it opens.
struct SequenceSpec {
    Digest domain;  // sequences of equal domains may share prefixes; made by the engine
    std::span<const TokenId> prompt;  // not computed by open(); only what match() may look for
    uint32_t tokens_max = 0;          // prompt and answer; fixes whatever depends on the length
};

/// Which of its Capabilities::parts a span goes through in this step: [begin, end).
struct Parts {
    uint32_t begin = 0, end = UINT32_MAX;
};

/// Consecutive tokens of one sequence, beginning at length(seq).
///
/// A span may be computed a few parts at a time, with the same tokens in each step: the length
/// grows, and outputs come, with the last part. At most one span of a batch, its last one, may stop
/// before the last part or go on from a former stop, and at most one is kept in between: another
/// that stops takes its place, and whatever changes the sequence's length forgets it, as does a
/// step that fails. One that begins at part 0 begins anew.
struct Span {
    SeqId seq = 0;
    std::span<const TokenId> tokens;
    uint32_t outputs = 0;  // rows of logits, for the last so many tokens: 0 prefill slice, 1 decode
    Parts parts = {};
};

struct Batch {
    std::span<const Span> spans;  // at most one span a sequence
};

struct Output {
    SeqId seq = 0;
    uint32_t position = 0;          // of the token whose successor the logits rate
    std::span<const float> logits;  // [vocabulary]
    bool finite = true;             // false: a NaN or infinity; the caller ends that sequence only
};

struct Step {
    std::span<const Output> outputs;  // in batch order; valid until the next launch()
    uint64_t compute_us = 0;
};

struct MemoryReport {
    uint64_t weights_bytes = 0, kv_total_bytes = 0, kv_used_bytes = 0, kv_cached_bytes = 0;
    uint64_t scratch_bytes = 0;
    uint64_t device_bytes = 0;  // of weights, KV and scratch, what lies on a device beside the CPU
};

/// The one door to computing: one loaded model. All calls come from the engine's thread but those
/// marked [any thread]. Nothing throws. Every argument is plain data and valid for the call only,
/// so that a Runner can live in another process.
///
/// One truth: after any call, failed ones too, length(s) is how many leading tokens of s have
/// their state here. The caller goes on from there; it never has to guess what a failure undid.
/// Only launch(), collect(), match() and trim() of a sequence change its length; nothing that is
/// done to another sequence does.
///
/// SeqIds are never 0 and are not reused while the sequence is open. Calls with a SeqId that is
/// not open are bugs of the caller, and so is any call but cancel(), progress() and memory()
/// between launch() and collect().
///
/// `runner/conformance_test.cpp` holds every Runner to what is written here.
class Runner {
 public:
    virtual ~Runner() = default;

    virtual const Capabilities& capabilities() const noexcept = 0;

    /// A new sequence of length 0. Errors: NoRoom (sequences_max are open: try later), TooLong
    /// (tokens_max can never fit, or is less than the prompt). Reserves nothing.
    virtual Expected<SeqId> open(const SequenceSpec& spec) = 0;

    /// Attaches what is cached of the prompt for this domain, and moves the length forward.
    /// Only before the first launch of a sequence that open() made; may be repeated. Leaves at
    /// least one prompt token to compute, so that there are logits. wait_for is only ever set
    /// where shares_prefixes is.
    virtual Match match(SeqId seq) = 0;

    /// A second sequence with the first `length` tokens of `parent`, and its prompt, domain and
    /// tokens_max. The child may be shorter, 0 at worst: ask length(). The parent stays as it is.
    /// Errors: NoRoom (sequences_max are open). REQUIRES: length <= length(parent).
    virtual Expected<SeqId> fork(SeqId parent, uint32_t length) = 0;

    /// Whether the next `tokens` of the sequence will fit, which are then reserved until they are
    /// launched, trimmed or the sequence is closed. Makes room by evicting cached prefixes. All or
    /// nothing; never beyond tokens_max. A smaller reservation does not undo a larger one, and room
    /// may be given in larger pieces (Room::granule).
    virtual bool reserve(SeqId seq, uint32_t tokens) = 0;

    /// Forgets what lies behind `length`, and what was reserved behind it. Returns the length that
    /// is left: at most `length`; exactly `length` where that drops no more than rollback_max
    /// tokens and room can be had; less, 0 at worst, where not. Behind the end it changes nothing.
    virtual uint32_t trim(SeqId seq, uint32_t length) = 0;

    /// Ends the sequence. Cached: its tokens may be found by match() until their room is needed.
    /// Nothing: what nobody else uses is forgotten, as after an error. Preemption is close(Cached),
    /// and later open() and match().
    virtual void close(SeqId seq, Keep keep) = 0;

    virtual uint32_t length(SeqId seq) const = 0;
    virtual Room room() const = 0;

    /// Starts one step. Refused whole (Invalid: an empty batch or span, more outputs than tokens, a
    /// token outside the vocabulary, two spans of one sequence, above a capability, parts that do
    /// not follow what was computed; NoRoom: not reserved; Cancelled, DeviceLost; Corrupt: the file
    /// that it computes from has changed, and it can compute no more) with every length as it was,
    /// or taken whole.
    virtual Expected<StepId> launch(const Batch& batch) = 0;

    /// Waits for the step and returns its outputs: for each span in batch order its last `outputs`
    /// tokens, ascending. Every length has then grown by its span, if that was its last part. On an
    /// error (Cancelled,
    /// DeviceLost, OutOfMemory) some spans may have been computed, or the beginnings of some, and a
    /// state that cannot be rolled back may be lost where the device failed: ask length() of each
    /// sequence. REQUIRES: the step that was launched last, not collected yet.
    virtual Expected<Step> collect(StepId step) = 0;

    /// [any thread] The step in flight ends soon, its collect() with Cancelled. Best effort.
    virtual void cancel() noexcept = 0;

    /// [any thread] Grows while a step moves, so that slow can be told from stuck.
    virtual uint64_t progress() const noexcept = 0;

    /// [any thread]
    virtual MemoryReport memory() const noexcept = 0;
};

}  // namespace dunlin
