#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace dunlin {

/// A few threads for work that may take milliseconds: parsing, templates, tokenizing.
class Workers {
 public:
    explicit Workers(size_t threads, size_t queued_max = 4096);
    ~Workers() { stop(); }
    /// [any thread] False when the queue is full or stopped; the job is then dropped.
    bool post(std::move_only_function<void()> job);
    /// Lets the running jobs end, drops the rest. Not from a job.
    void stop();

 private:
    void run();
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::move_only_function<void()>> jobs_;
    bool stopping_ = false;
    size_t queued_max_;
    std::vector<std::thread> threads_;
};

}  // namespace dunlin
