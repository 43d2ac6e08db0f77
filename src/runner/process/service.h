#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runner/process/process_runner.h"

namespace dunlin {

/// A process of its own that answers texts with texts: for a library or a driver that may end its
/// process, or never come back. It is started when it is first asked something, and again where it
/// has ended. Texts are at most 64 MiB.
class Service {
 public:
    /// `patience_ms`: how long it may take to start, and to answer. `settings` as for
    /// make_process_runner(); their command calls host_service().
    Service(ProcessSettings settings, uint32_t patience_ms);
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// [any thread] One at a time: others wait. Errors: what the service answers; TooLarge;
    /// DeviceLost where the process ended over it or took too long, which ends it; Io.
    Expected<std::string> ask(std::string_view question);

 private:
    struct Running;
    Expected<void> start();
    Expected<std::string> take_answer();
    std::unexpected<Error> lost(const char* doing);

    const ProcessSettings settings_;
    const uint32_t patience_ms_;
    std::mutex mutex_;
    std::unique_ptr<Running> running_;
};

using AnswerText = std::function<Expected<std::string>(std::string_view question)>;

/// The child's whole life, from the descriptors that Service gave it: makes what the parent's text
/// asks for and answers, until the parent lets go or ends. Returns the exit code. REQUIRES: no
/// other thread runs yet.
int host_service(const std::function<Expected<AnswerText>(std::string_view spec)>& make);

}  // namespace dunlin
