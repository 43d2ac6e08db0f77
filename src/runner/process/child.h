#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"

namespace dunlin::process {

/// The same file under a number that is none of the child's: those are overwritten while it starts.
/// Takes `fd` over; -1 where there is no number left, or was none.
int above_childs(int fd);

/// A child process with the descriptors of protocol.h. Ends with this object.
class Child {
 public:
    /// `command`: the program and its arguments. Errors: Io. REQUIRES: above_childs gave shared_fd.
    static Expected<std::unique_ptr<Child>> start(const std::vector<std::string>& command,
                                                  int shared_fd);
    /// Lets the child end by itself for a moment, then kills it.
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Whether the message went out whole.
    bool send(const void* data, size_t size);
    /// Whether receive() would not wait: there is a message, or the child has gone.
    bool has_said_something() const;
    /// Waits for a message of exactly this size; false where the child has gone or sends anything
    /// else.
    bool receive(void* data, size_t size);
    /// How long send() and receive() wait, and whoever uses commands(); without it for ever.
    void set_patience_ms(uint32_t ms);
    int commands() const { return commands_; }
    /// [any thread] Makes the child's Runner cancel its step.
    void cancel() noexcept;

    /// Kills the child if it still runs, and says how it ended: "was killed by signal 6 (Aborted)".
    std::string end();

 private:
    Child(pid_t pid, int commands, int cancels)
        : pid_(pid), commands_(commands), cancels_(cancels) {}
    bool wait(int flags);
    pid_t pid_;
    int status_ = 0;
    const int commands_, cancels_;
};

}  // namespace dunlin::process
