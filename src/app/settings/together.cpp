#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>

#include <sys/stat.h>

#include "access/digest.h"
#include "app/models.h"
#include "app/settings/settings.h"

namespace dunlin {
namespace {

using Problems = std::vector<std::pair<Origin, std::string>>;

const Origin& origin_of(const LoadedSettings& loaded, std::string_view name) {
    const auto rows = setting_rows();
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.name() == name; });
    return loaded.origins.at(static_cast<size_t>(row - rows.begin()));
}

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// Whether there are keys, also such that were refused: then what follows from having none is moot.
bool has_keys(const LoadedSettings& loaded, const Problems& problems) {
    return !loaded.settings.keys.empty() ||
           std::any_of(problems.begin(), problems.end(),
                       [](const auto& one) { return one.second.starts_with("key"); });
}

void check_network(const LoadedSettings& loaded, Problems& problems) {
    const Settings& settings = loaded.settings;
    if (is_loopback(settings.api.host) || settings.allow_unauthenticated_network ||
        has_keys(loaded, problems))
        return;
    problems.emplace_back(
        origin_of(loaded, "server.host"),
        "server.host: " + settings.api.host +
            " opens Dunlin to a network, and no API key is listed, so that anyone there could use "
            "it; make a key with dunlin keys new NAME, or listen on 127.0.0.1, or set "
            "server.allow_unauthenticated_network = true (--allow-unauthenticated-network) if that "
            "is what you want");
}

void check_authentication(const LoadedSettings& loaded, Problems& problems) {
    const bool keys = has_keys(loaded, problems);
    const std::string& wanted = loaded.settings.authentication;
    const Origin& origin = origin_of(loaded, "security.authentication");
    if (wanted == "on" && !keys)
        problems.emplace_back(origin,
                              "security.authentication: it is on, and no key is listed, so that "
                              "nobody could call; make one with dunlin keys new NAME and add the "
                              "[[key]] that it prints, or write \"auto\"");
    if (wanted == "off" && keys)
        problems.emplace_back(origin,
                              "security.authentication: it is off, and keys are listed, which "
                              "would then protect nothing; take out each [[key]], or write "
                              "\"auto\"");
}

/// Why the path cannot be a model; empty where it can.
std::string why_no_model(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) return path + ": " + std::strerror(errno);
    if (S_ISDIR(status.st_mode)) return path + " is a folder; name the .gguf file in it";
    if (!S_ISREG(status.st_mode)) return path + " is not a plain file";
    std::ifstream file(path, std::ios::binary);
    char magic[4] = {};
    if (!file.read(magic, sizeof magic) && !file.eof())
        return path + " cannot be read: " + std::strerror(errno);
    if (std::string_view(magic, sizeof magic) != "GGUF") return path + " is not a GGUF file";
    return {};
}

/// Of a [[model]] or a [[key]], from its `where`.
Origin origin_at(const std::string& where) {
    Origin origin{Origin::Layer::File, where, 0};
    for (const char c : where.substr(where.rfind(':') + 1))
        origin.line = origin.line * 10 + static_cast<uint32_t>(c - '0');
    return origin;
}

void check_models(const LoadedSettings& loaded, Problems& problems) {
    const auto& models = loaded.settings.models;
    for (auto model = models.begin(); model != models.end(); ++model) {
        if (const std::string why = why_no_model(model->path); !why.empty())
            problems.emplace_back(origin_at(model->where), "model.path: " + why);
        const auto first = std::find_if(models.begin(), model,
                                        [&](const auto& one) { return one.id == model->id; });
        if (first != model)
            problems.emplace_back(origin_at(model->where),
                                  "model.id: \"" + model->id + "\" is listed already, at " +
                                      first->where + "; give each model its own id");
    }
}

void check_keys(const LoadedSettings& loaded, Problems& problems) {
    std::map<std::string, std::string> names;  // and where they stand
    std::map<Bytes32, std::string> hashes;
    for (const KeySettings& key : loaded.settings.keys) {
        const auto [named, is_new] = names.emplace(key.name, key.where);
        if (!is_new)
            problems.emplace_back(origin_at(key.where),
                                  "key.name: \"" + key.name + "\" is listed already, at " +
                                      named->second + "; give each key its own name");
        const auto [same, is_other] = hashes.emplace(*from_hex(key.sha256), key.where);
        if (!is_other)
            problems.emplace_back(origin_at(key.where),
                                  "key.sha256: it is that of the key at " + same->second +
                                      " too; make another key with dunlin keys new NAME");
    }
}

void check_names(const LoadedSettings& loaded, Problems& problems) {
    const Settings& settings = loaded.settings;
    const auto models = list_models(settings);
    std::vector<std::string> names;
    std::string all;
    for (const auto& model : models)
        names.push_back(model.id), all += (all.empty() ? "" : ", ") + model.id;
    const auto listed = [&](const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    const auto& wanted = settings.default_model;
    if (!wanted.empty() && !listed(wanted) && !settings.aliases.contains(wanted))
        problems.emplace_back(
            origin_of(loaded, "models.default"),
            "models.default: no model \"" + wanted + "\" is listed; allowed: " + all);
    for (const auto& [alias, name] : settings.aliases) {
        if (!listed(name))
            problems.emplace_back(origin_of(loaded, "models.aliases"),
                                  "models.aliases: \"" + alias + "\" means \"" + name +
                                      "\", which is not listed; allowed: " + all);
        if (listed(alias))
            problems.emplace_back(
                origin_of(loaded, "models.aliases"),
                "models.aliases: \"" + alias + "\" is the name of a model; choose another one");
    }
}

void check_folder(const LoadedSettings& loaded, Problems& problems) {
    const std::string& folder = loaded.settings.models_folder;
    struct stat status{};
    if (folder.empty()) return;
    if (stat(folder.c_str(), &status) != 0)
        problems.emplace_back(origin_of(loaded, "models.folder"),
                              "models.folder: " + folder + ": " + std::strerror(errno));
    else if (!S_ISDIR(status.st_mode))
        problems.emplace_back(origin_of(loaded, "models.folder"),
                              "models.folder: " + folder + " is not a folder");
}

}  // namespace

void check_together(const LoadedSettings& loaded, Problems& problems) {
    check_network(loaded, problems);
    check_authentication(loaded, problems);
    check_keys(loaded, problems);
    check_models(loaded, problems);
    check_folder(loaded, problems);
    // Which names there are is only known once the list is right.
    if (problems.empty()) check_names(loaded, problems);
}

}  // namespace dunlin
