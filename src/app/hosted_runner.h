#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runner/llamacpp/llamacpp_runner.h"

namespace dunlin {

/// The argument with which this program is the process of a Runner. Not a command: nobody types it.
inline constexpr std::string_view kHostRunner = "host-runner";

/// What the program does then, until its parent lets go. Returns the exit code.
int host_runner_of_parent();

/// llama.cpp in a process of its own: what make_llamacpp_runner() gives there, or what
/// make_process_runner() says where there is no such process.
Expected<std::unique_ptr<Runner>> make_hosted_llamacpp(const std::string& path,
                                                       const LlamaCppSettings& settings);

/// The fake runner in a process of its own; `path` as parse_fake_model() takes it.
Expected<std::unique_ptr<Runner>> make_hosted_fake(const std::string& path);

}  // namespace dunlin
