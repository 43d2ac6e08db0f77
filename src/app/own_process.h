#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "json/json.h"
#include "runner/process/process_runner.h"

namespace dunlin {

/// This program once more, with `argument`, which nobody types, in place of a command. It gets
/// `spec` and logs at our level. `name`: what a person calls it. Errors: those of write_json().
Expected<ProcessSettings> own_process(std::string_view argument, Json spec, std::string name);

/// The other side: the spec, and logging as the parent does from here on. Errors: those of
/// read_json().
Expected<Json> read_own_spec(std::string_view text);

/// A field of what this program wrote itself; 0 or an empty text where there is none.
uint64_t own_number(const Json& object, std::string_view name);
std::string own_text(const Json& object, std::string_view name);

}  // namespace dunlin
