#include <string>

#include "models/model.h"

namespace dunlin {

#define ARCHITECTURE(name, load) Expected<std::unique_ptr<Model>> load(const ModelSource& source);
#include "models/architectures.def"
#undef ARCHITECTURE

namespace {

struct Architecture {
    std::string_view name;
    Expected<std::unique_ptr<Model>> (*load)(const ModelSource& source);
};

constexpr Architecture kArchitectures[] = {
#define ARCHITECTURE(name, load) {#name, load},
#include "models/architectures.def"
#undef ARCHITECTURE
};

}  // namespace

bool architecture_known(std::string_view name) {
    for (const Architecture& architecture : kArchitectures)
        if (architecture.name == name) return true;
    return false;
}

Expected<std::unique_ptr<Model>> load_model(const ModelSource& source) {
    std::string known;
    for (const Architecture& architecture : kArchitectures) {
        if (architecture.name == source.config.architecture) return architecture.load(source);
        known.append(known.empty() ? "" : ", ").append(architecture.name);
    }
    return fail(Code::Unsupported, "the native engine does not know the architecture '" +
                                       source.config.architecture + "'; it knows " + known);
}

}  // namespace dunlin
