#pragma once

#include <span>

#include "api/server.h"

namespace dunlin {

/// The files of the web page, from a source file that tools/embed_assets.py writes at build time.
/// Empty in a build with DUNLIN_WEB=OFF.
std::span<const Asset> web_assets();

}  // namespace dunlin
