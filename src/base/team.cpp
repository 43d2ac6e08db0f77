#include "base/team.h"

#include "base/check.h"

namespace dunlin {
namespace {

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// Changes `value` and wakes who sleeps on it. Sequentially consistent, for notify_all() looks for
/// sleepers first: a weaker store may still be on its way when it looks, while a sleeper that it
/// does not see goes to sleep on the old value, for good.
void publish(std::atomic<uint32_t>& value, uint32_t now) {
    value.store(now, std::memory_order_seq_cst);
    value.notify_all();
}

}  // namespace

uint32_t Worker::size() const {
    return team_.size_;
}

size_t Worker::take(size_t grain) {
    return team_.ticket_.fetch_add(grain, std::memory_order_relaxed);
}

size_t Worker::take_dealt(uint32_t part, size_t pieces) {
    std::atomic<uint64_t>& taken = team_.dealt_[part].taken;
    const uint64_t none = uint64_t{phase_} << 32;
    for (uint64_t seen = taken.load(std::memory_order_relaxed);;) {
        const uint64_t now = seen >> 32 == phase_ ? seen : none;
        const uint64_t front = now >> 16 & kPiecesMax;
        const uint64_t back = now & kPiecesMax;
        if (front + back >= pieces) return pieces;
        const bool own = part == rank_;
        if (taken.compare_exchange_weak(seen, now + (own ? 1U << 16U : 1U),
                                        std::memory_order_relaxed))
            return own ? front : pieces - 1 - back;
    }
}

bool Worker::arrive() {
    return team_.arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == team_.size_;
}

void Worker::release(uint32_t phase) {
    team_.arrived_.store(0, std::memory_order_relaxed);
    team_.ticket_.store(0, std::memory_order_relaxed);
    publish(team_.phase_, phase);
}

void Worker::wait(uint32_t phase) {
    team_.wait_while(team_.phase_, phase);
}

Team::Team(uint32_t threads, uint32_t spins)
    : size_(threads), spins_(spins), leader_(*this, 0), dealt_(std::make_unique<Dealt[]>(threads)) {
    CHECK(threads >= 1);
    for (uint32_t rank = 1; rank < threads; ++rank)
        threads_.emplace_back([this, rank] { serve(rank); });
}

Team::~Team() {
    stopping_.store(true, std::memory_order_release);
    publish(round_, round_ + 1);
}

void Team::run(const std::function<void(Worker&)>& work) {
    work_ = &work;
    publish(round_, round_ + 1);
    work(leader_);
    leader_.barrier();  // nobody is still inside `work` when it goes out of scope
}

/// Returns when `value` is no longer `old`.
void Team::wait_while(const std::atomic<uint32_t>& value, uint32_t old) const {
    for (uint32_t i = 0; i < spins_; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old);
}

void Team::serve(uint32_t rank) {
    Worker self(*this, rank);
    for (uint32_t seen = 0;; ++seen) {
        wait_while(round_, seen);
        if (stopping_.load(std::memory_order_acquire)) return;
        (*work_)(self);
        self.barrier();
    }
}

}  // namespace dunlin
