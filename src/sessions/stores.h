#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "sessions/session_store.h"

namespace dunlin {

/// The names in stores.def.
inline constexpr std::string_view kSessionStores[] = {
#define SESSION_STORE(name, text) #name,
#include "sessions/stores.def"
#undef SESSION_STORE
};

struct StoreSettings {
    std::string folder;  // of the data, for stores that keep files; it is there, and nobody else's
    const Clock* clock = &system_clock();  // the time of sessions from files that tell none
};

#define SESSION_STORE(name, text) \
    Expected<std::unique_ptr<SessionStore>> open_##name##_store(const StoreSettings& settings);
#include "sessions/stores.def"
#undef SESSION_STORE

/// Opens the store of that name, with what it holds. REQUIRES: it is one of kSessionStores.
/// Errors: Io, Corrupt (what is there is not a store, or a damaged one; it is left as it is),
/// Unsupported (a newer version wrote it). The message names the file and says what to do.
Expected<std::unique_ptr<SessionStore>> open_session_store(std::string_view name,
                                                           const StoreSettings& settings);

}  // namespace dunlin
