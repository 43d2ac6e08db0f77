#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "runner/llamacpp/devices.h"
#include "runner/process/service.h"

namespace dunlin {

/// What llamacpp_devices() finds in a process of its own: looking starts the drivers, and a driver
/// may end its process or hang. Then a line goes to the log, and there is nothing but the CPU.
std::vector<LlamaCppDevice> find_devices();

/// What that process answers.
Expected<AnswerText> answer_for_devices(const std::string& about);

}  // namespace dunlin
