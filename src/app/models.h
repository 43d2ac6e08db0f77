#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/load_model.h"
#include "app/settings/settings.h"

namespace dunlin {

/// The models that these settings list, in order: each [[model]]; without any, the default model
/// and those that a hub will give; and the files in the models folder. Ids are unique. Reads the
/// folder, opens no file. The default model is also found in the cache folder, where
/// scripts/fetch-model puts it.
std::vector<ModelEntry> list_models(const Settings& settings);

/// What --model means: a listed name or an alias, the path of a GGUF file, "fake" and settings for
/// the fake one, or nothing for the default model. The entry may have no path (not downloaded).
/// Errors: ModelNotFound, with the names that there are.
Expected<ModelEntry> choose_model(const Settings& settings, std::string_view given);

/// How to load that model: [models], and what its [[model]] says otherwise.
LoadSettings load_settings_of(const Settings& settings, const ModelEntry& entry);

}  // namespace dunlin
