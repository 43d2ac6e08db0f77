#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/settings/settings.h"
#include "base/data_folder.h"
#include "sessions/session_store.h"

namespace dunlin {

/// server.data_dir, or dunlin in the user's data folder. Errors: Invalid where there is neither.
Expected<std::string> data_folder(const Settings& settings);

/// The store that the settings name, and the lock of the folder that it lies in.
struct HeldStore {
    std::optional<DataFolder> folder;  // nothing for a store that keeps no files
    std::unique_ptr<SessionStore> store;
};
/// Errors: Conflict where another process holds the folder; those of open_session_store().
Expected<HeldStore> hold_store(const Settings& settings);

}  // namespace dunlin
