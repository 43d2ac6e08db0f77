#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace dunlin {

class Team;

/// One thread's place in a Team while a piece of work runs on all of them.
class Worker {
 public:
    uint32_t rank() const { return rank_; }
    uint32_t size() const;

    /// Waits until every worker has come here. What any of them wrote before, all may read after.
    void barrier() {
        barrier([] {});
    }

    /// The same; the last to come calls `last` before anybody goes on. For what is too small to
    /// share out: it then costs no barrier of its own.
    template <class Last>
    void barrier(Last&& last) {
        const uint32_t phase = phase_++;
        if (arrive()) {
            last();
            release(phase + 1);
        } else {
            wait(phase);
        }
    }

    /// Hands out [0, count) in pieces of `grain`, each to whichever worker asks next, and calls
    /// `body(begin, end)` for those that fell to this one. At most one loop between two barriers,
    /// be it of this kind or the next. Which worker takes which piece is left to chance: results
    /// must not depend on it.
    template <class Body>
    void share(size_t count, size_t grain, Body&& body) {
        for (size_t begin = take(grain); begin < count; begin = take(grain))
            body(begin, begin + grain < count ? begin + grain : count);
    }

    /// The same for work in one part for each worker, of items_of(part) items: calls
    /// `body(part, begin, end)`. A worker goes through its own part from the front; who has none of
    /// it left takes pieces of others' from the back, so that each reads on where it was as long as
    /// it can.
    template <class ItemsOf, class Body>
    void deal(size_t grain, ItemsOf&& items_of, Body&& body) {
        for (uint32_t turn = 0; turn < size(); ++turn) {
            const uint32_t part = (rank_ + turn) % size();
            const size_t items = items_of(part);
            const size_t piece = items <= kPiecesMax * grain ? grain : items / kPiecesMax + 1;
            const size_t pieces = (items + piece - 1) / piece;
            for (size_t i = take_dealt(part, pieces); i < pieces; i = take_dealt(part, pieces))
                body(part, i * piece, (i + 1) * piece < items ? (i + 1) * piece : items);
        }
    }

 private:
    static constexpr size_t kPiecesMax = 0xffff;
    friend class Team;
    Worker(Team& team, uint32_t rank) : team_(team), rank_(rank) {}
    size_t take(size_t grain);
    size_t take_dealt(uint32_t part, size_t pieces);  // `pieces` where none is left
    bool arrive();                                    // true for the last
    void release(uint32_t phase);
    void wait(uint32_t phase);

    Team& team_;
    uint32_t rank_;
    uint32_t phase_ = 0;  // barriers passed, over all rounds
};

/// A fixed set of threads that run the same function together, meeting at barriers. Waiting spins
/// for a moment, because the next phase of a decode step is microseconds away, and then sleeps,
/// because a spinning thread takes the core from whoever writes the answers.
/// run() belongs to one thread at a time; that thread is rank 0.
class Team {
 public:
    /// `threads` >= 1, the caller's own included. `spins`: how often one that waits looks again
    /// before it sleeps; by default about 50 us.
    explicit Team(uint32_t threads, uint32_t spins = 2000);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    uint32_t size() const { return size_; }
    void run(const std::function<void(Worker&)>& work);

 private:
    friend class Worker;
    void serve(uint32_t rank);
    void wait_while(const std::atomic<uint32_t>& value, uint32_t old) const;

    const uint32_t size_;
    const uint32_t spins_;
    Worker leader_;
    const std::function<void(Worker&)>* work_ = nullptr;
    std::atomic<uint32_t> round_{0};    // grows when there is work
    std::atomic<uint32_t> arrived_{0};  // at the present barrier
    std::atomic<uint32_t> phase_{0};    // barriers completed
    std::atomic<size_t> ticket_{0};     // next index of the present loop
    /// How many pieces of a part are taken: those of the phase in the upper half from the front
    /// (16 bits) and from the back; in any other phase none. So nobody has to begin anew for all.
    struct alignas(64) Dealt {
        std::atomic<uint64_t> taken{0};
    };
    const std::unique_ptr<Dealt[]> dealt_;  // [size]
    std::atomic<bool> stopping_{false};
    std::vector<std::jthread> threads_;
};

}  // namespace dunlin
