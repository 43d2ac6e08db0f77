#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "runner/runner.h"

namespace dunlin {

struct ProcessSettings {
    /// The program that calls host_runner(), with its arguments.
    std::vector<std::string> command;
    /// What host_runner() makes the Runner from; at most 64 KiB.
    std::string spec;
    /// What a person calls it in messages: "llama.cpp".
    std::string name;
};

/// A Runner in a process of its own: what ends that process (an assertion of a library, a device's
/// driver) ends the step that it was in, and nothing else here; and its memory is the system's
/// again when this Runner goes.
///
/// When the process is gone, the call under way fails with DeviceLost and every length is 0. The
/// next call that needs it starts it again; where it ends within a minute again, not before a pause
/// of 1 to 30 seconds. In the pause calls fail with DeviceLost and say why, and when to come back.
/// While it loads there is NoRoom (open(), fork(), reserve()): no call waits for that but this one.
/// A Runner whose launch() fails there with Corrupt is made anew in the same way.
///
/// launch() does not wait for the step, collect() does. Batches and logits lie in memory that both
/// processes map; a step costs one exchange over a socket and one copy of the logits.
///
/// Errors: what making the Runner there gives; Internal where the process ends over it; Io.
Expected<std::unique_ptr<Runner>> make_process_runner(const ProcessSettings& settings,
                                                      const Clock& clock = system_clock());

}  // namespace dunlin
