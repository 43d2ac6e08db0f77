#include "app/session_data.h"

#include <cstdlib>

#include "sessions/stores.h"

namespace dunlin {

Expected<std::string> data_folder(const Settings& settings) {
    if (!settings.data_dir.empty()) return settings.data_dir;
    const char* data = std::getenv("XDG_DATA_HOME");
    const char* home = std::getenv("HOME");
    if (data != nullptr && *data != '\0') return std::string(data) + "/dunlin";
    if (home != nullptr && *home != '\0') return std::string(home) + "/.local/share/dunlin";
    return fail(Code::Invalid,
                "there is no home folder to keep sessions in; name a folder with --data-dir "
                "(server.data_dir), or keep none: sessions.store = \"memory\"");
}

Expected<HeldStore> hold_store(const Settings& settings) {
    HeldStore out;
    StoreSettings where;
    if (settings.session_store != "memory") {
        const auto path = data_folder(settings);
        if (!path) return std::unexpected(path.error());
        auto folder = DataFolder::open(*path);
        if (!folder) return std::unexpected(folder.error());
        out.folder.emplace(std::move(*folder));
        where.folder = out.folder->path();
    }
    auto store = open_session_store(settings.session_store, where);
    if (!store) return std::unexpected(store.error());
    out.store = std::move(*store);
    return out;
}

}  // namespace dunlin
