#pragma once

// What a parent and the child that hosts its Runner say to each other: one Command, one Reply, in
// turn, over a socket that keeps messages whole; and a piece of memory that both map, for what is
// large (tokens, logits) and for what is read at any time. Both are the same program, so these
// are plain structs.
//
// The first message to the child is the text that says which Runner to make; the first reply is a
// Hello. Until then the shared memory has only its Head.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kv/room.h"
#include "runner/runner.h"

namespace dunlin::process {

// The child's file descriptors.
inline constexpr int kCommandsFd = 3, kCancelsFd = 4, kSharedFd = 5;

inline constexpr size_t kSpecBytesMax = size_t{64} << 10;
inline constexpr size_t kTextBytes = 512;

enum class Op : uint32_t { Open, Match, Fork, Reserve, Trim, Close, Length, Step };

struct Command {
    Op op = Op::Length;
    SeqId seq = 0;
    uint32_t amount = 0;  // tokens_max of Open; a length; tokens to reserve; what to Keep
    uint32_t count = 0;   // what lies in the shared memory: tokens of Open, spans of Step
    Digest domain = {};
};

struct Failure {
    bool failed = false;
    Code code = Code::Internal;
    char text[kTextBytes] = {};
};

struct Reply {
    Failure failure;
    uint32_t value = 0;  // a sequence, a length, whether it was reserved
    uint32_t outputs = 0;
    uint64_t compute_us = 0;
    Match match;
    Room room;
};

struct Hello {
    Failure failure;
    Capabilities capabilities;
    Room room;
};

struct SharedSpan {
    SeqId seq;
    uint32_t tokens, outputs;
    Parts parts = {};
};
struct SharedOutput {
    SeqId seq;
    uint32_t position, finite;
};

/// What begins the shared memory.
struct Head {
    std::atomic<uint64_t> progress, weights, kv_total, kv_used, kv_cached, scratch, device;
    char last_words[kTextBytes];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

/// Where in the shared memory things lie, in bytes.
struct Layout {
    size_t spans, tokens, outputs, logits, total;
};
/// Errors: TooLarge where the memory would be above 4 GiB.
Expected<Layout> layout_of(const Capabilities& capabilities);

/// The shared memory as one side has mapped it.
class Shared {
 public:
    Shared() = default;
    /// Maps the first `bytes`. Errors: Io, OutOfMemory.
    static Expected<Shared> map(int fd, size_t bytes);
    ~Shared();
    Shared(Shared&& other) noexcept;
    Shared& operator=(Shared&& other) noexcept;

    Head& head() const { return *static_cast<Head*>(data_); }
    template <class T>
    std::span<T> at(size_t offset, size_t count) const {
        return {reinterpret_cast<T*>(static_cast<std::byte*>(data_) + offset), count};
    }

 private:
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

/// One message of exactly this size. False where the other side has gone or, for receive_whole(),
/// where it sent anything else or nothing in time; then errno is EAGAIN.
bool send_whole(int fd, const void* data, size_t size);
bool receive_whole(int fd, void* data, size_t size);

/// ": " and why the child ended itself; empty where it did not say.
std::string last_words(const Head& head);

void set_failure(Failure& failure, const Error& error);
Error to_error(const Failure& failure);

}  // namespace dunlin::process
