#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "runner/runner.h"

namespace dunlin {

/// The child's whole life, from the descriptors that make_process_runner() gave it: makes the
/// Runner that the parent's text asks for and does what the parent says, until that lets go or
/// ends. Returns the exit code. REQUIRES: no other thread runs yet.
int host_runner(
    const std::function<Expected<std::unique_ptr<Runner>>(std::string_view spec)>& make);

}  // namespace dunlin
