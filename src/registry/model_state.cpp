#include "registry/registry.h"

namespace dunlin {

std::string_view to_string(ModelState state) {
    switch (state) {
        case ModelState::NotDownloaded:
            return "not_downloaded";
        case ModelState::OnDisk:
            return "on_disk";
        case ModelState::Loading:
            return "loading";
        case ModelState::Loaded:
            return "loaded";
        case ModelState::Failed:
            return "failed";
    }
    return "failed";
}

}  // namespace dunlin
