#include "app/models.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "app/fake_model.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModel = "SmolLM2-135M-Instruct";
constexpr const char* kDefaultFile = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr const char* kHubModels[] = {"Qwen/Qwen2.5-0.5B-Instruct",
                                      "microsoft/Phi-3.5-mini-instruct"};
constexpr size_t kFolderFilesMax = 256;

/// Where scripts/fetch-model puts the default model.
std::string cache_folder() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    const std::string base = cache != nullptr && *cache != '\0'
                                 ? std::string(cache)
                                 : std::string(home == nullptr ? "" : home) + "/.cache";
    return base + "/dunlin/models";
}

/// "models/some.gguf" is called "some".
std::string name_of(const fs::path& path) {
    return path.filename() == kDefaultFile ? kDefaultModel : path.stem().string();
}

std::vector<fs::path> gguf_files(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        if (at->path().extension() == ".gguf" && at->is_regular_file(error))
            found.push_back(at->path());
    std::sort(found.begin(), found.end());
    if (found.size() > kFolderFilesMax) found.resize(kFolderFilesMax);
    return found;
}

const ModelEntry* find(const std::vector<ModelEntry>& models, std::string_view id) {
    const auto found = std::find_if(models.begin(), models.end(),
                                    [&](const ModelEntry& one) { return one.id == id; });
    return found == models.end() ? nullptr : &*found;
}

}  // namespace

std::vector<ModelEntry> list_models(const Settings& settings) {
    std::vector<ModelEntry> out;
    for (const ModelSettings& model : settings.models) out.push_back({model.id, model.path, ""});
    const std::string cache = cache_folder();
    const std::string& folder = settings.models_folder.empty() ? cache : settings.models_folder;
    const auto files = gguf_files(folder);
    const auto add_files = [&](auto&& wanted) {
        for (const fs::path& file : files)
            if (wanted(file) && find(out, name_of(file)) == nullptr)
                out.push_back({name_of(file), file.string(), ""});
    };
    if (settings.models.empty()) {
        add_files([](const fs::path& file) { return file.filename() == kDefaultFile; });
        const std::string fetched = cache + "/" + kDefaultFile;
        std::error_code error;
        if (out.empty() && fs::is_regular_file(fetched, error))
            out.push_back({kDefaultModel, fetched, ""});
        if (out.empty())
            out.push_back({kDefaultModel, "", "not downloaded yet; run scripts/fetch-model"});
    }
    add_files([](const fs::path&) { return true; });
    if (settings.models.empty())
        for (const char* name : kHubModels)
            if (find(out, name) == nullptr)
                out.push_back({name, "",
                               "not downloaded, and this version cannot download it; pass a GGUF "
                               "file with --model"});
    return out;
}

Expected<ModelEntry> choose_model(const Settings& settings, std::string_view given) {
    if (is_fake_model(given)) return ModelEntry{"fake", std::string(given), ""};
    const auto models = list_models(settings);
    if (given.empty()) given = settings.default_model;
    if (given.empty()) return models.front();
    const auto alias = settings.aliases.find(given);
    if (const auto* entry = find(models, alias == settings.aliases.end() ? given : alias->second))
        return *entry;
    const fs::path path(given);
    std::error_code error;
    if (fs::is_regular_file(path, error)) return ModelEntry{name_of(path), path.string(), ""};
    std::string names;
    for (const ModelEntry& entry : models) names += (names.empty() ? "" : ", ") + entry.id;
    return fail(Code::ModelNotFound,
                std::string(fs::is_directory(path, error)
                                ? "is a folder; name the .gguf file in it"
                                : "there is no such file, and no such model is listed") +
                    "; listed: " + names);
}

LoadSettings load_settings_of(const Settings& settings, const ModelEntry& entry) {
    LoadSettings load{.native = settings.native, .engine = settings.engine};
    load.engine.response_tokens_max = settings.api.response_tokens_max;
    load.wish.engine = settings.engine_name;
    load.wish.device = settings.device;
    std::string kv_type = settings.kv_type;
    SettingValue layers = settings.device_layers;
    for (const ModelSettings& model : settings.models) {
        if (model.id != entry.id || model.path != entry.path) continue;
        if (model.context_tokens_max > 0) load.native.context_tokens_max = model.context_tokens_max;
        if (model.kv_tokens > 0) load.native.kv_tokens = model.kv_tokens;
        if (model.engine != kSame) load.wish.engine = model.engine;
        if (model.device != kSame) load.wish.device = model.device;
        if (model.kv_type != kSame) kv_type = model.kv_type;
        if (model.device_layers != SettingValue(std::string(kSame))) layers = model.device_layers;
    }
    load.native.kv_type = kv_type_named(kv_type);
    if (const auto* number = std::get_if<int64_t>(&layers))
        load.wish.device_layers = static_cast<uint32_t>(*number);
    return load;
}

}  // namespace dunlin
