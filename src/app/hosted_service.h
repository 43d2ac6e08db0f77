#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runner/process/service.h"

namespace dunlin {

/// The argument with which this program is the process of a Service. Not a command: nobody types
/// it.
inline constexpr std::string_view kHostService = "host-service";

/// What the program does then, until its parent lets go. Returns the exit code.
int host_service_of_parent();

/// A service of this program. `kind`: a row of the table in hosted_service.cpp; `about`: what it is
/// to be made from; `name`: what a person calls it. Errors: those of own_process().
Expected<std::unique_ptr<Service>> make_hosted_service(const std::string& kind,
                                                       const std::string& about,
                                                       const std::string& name,
                                                       uint32_t patience_ms);

}  // namespace dunlin
