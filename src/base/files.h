#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dunlin {

/// The whole file; nothing where there is none. Errors: Io, TooLarge above `bytes_max`.
Expected<std::optional<std::string>> read_file(const std::string& path, size_t bytes_max);

/// A file is replaced in two steps, so that at every moment it is whole, the old one or the new
/// one, also after a loss of power. First the new text is stored as "PATH.tmp", for its user only
/// (0600): a failure (Io, DiskFull) has changed nothing.
Expected<void> write_aside(const std::string& path, std::string_view text);
/// Then that file takes the place of the other. After a failure (Io) nobody knows which of the two
/// will be there after a loss of power.
Expected<void> put_in_place(const std::string& path);

}  // namespace dunlin
