#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sessions/sqlite/database.h"

namespace dunlin {

/// What makes version i + 1 of the schema out of version i; version 0 is an empty file.
std::span<const char* const> session_schema();

/// Opens the database at `path`, or makes it, and brings it to the last version of `schema`, all
/// versions in one transaction and after a copy of the file to PATH.v<version>.bak.
/// Errors: Unsupported for a version that is not in `schema`; Corrupt for a damaged file and for
/// one of another program; Io.
Expected<Database> open_database(const std::string& path, std::span<const char* const> schema);

}  // namespace dunlin
