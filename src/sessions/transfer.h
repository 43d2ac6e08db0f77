#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "sessions/rows.h"
#include "sessions/session_store.h"
#include "sessions/sessions.h"

namespace dunlin {

/// All sessions of the store, or those of one owner, with all branches. REQUIRES: nobody changes
/// the store meanwhile.
Expected<Rows> read_all(SessionStore& store, std::optional<std::string_view> owner);

struct Imported {
    uint32_t sessions = 0, messages = 0;
    std::vector<std::string> there;  // ids that were in the store already; they stay as they are
};
/// Adds sessions that read_sessions() gave, each whole; they are the last used ones then, in their
/// order. With `owner` they belong to that one, whatever they say.
/// Errors: TooLarge above a limit, before anything is stored; those of the store.
Expected<Imported> import_sessions(SessionStore& store, const Rows& rows,
                                   std::optional<std::string_view> owner,
                                   const SessionLimits& limits);

}  // namespace dunlin
