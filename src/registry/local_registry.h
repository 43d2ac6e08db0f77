#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "registry/registry.h"

namespace dunlin {

/// A listed model: a file, or the reason why there is none.
struct ModelEntry {
    std::string id;
    std::string path;    // empty: not downloaded
    std::string reason;  // why, and what to do
};

/// Facts from a file's header, for lists; cheap to find.
struct ModelFacts {
    std::string architecture, quantization;
    uint64_t file_bytes = 0, parameters = 0;
    uint32_t context_tokens = 0;
    std::string too_large = {};  // for this machine, and why; empty: it may be loaded
};

/// What loading a model gives, and what /models says of it.
struct LoadedModel {
    std::shared_ptr<Engine> engine;
    std::string engine_name, device;  // "native", "cpu"
    std::string why;                  // these: one sentence
};

struct RegistrySettings {
    std::vector<ModelEntry> models;
    std::string default_model;
    std::map<std::string, std::string, std::less<>> aliases;
    /// Reads a file's header. Called at construction for entries with a path.
    std::function<Expected<ModelFacts>(const ModelEntry&)> inspect;
    /// Loads a model; on a thread of its own, never twice at once for one entry.
    std::function<Expected<LoadedModel>(const ModelEntry&)> load;
};

std::unique_ptr<Registry> make_registry(RegistrySettings settings, const Clock& clock,
                                        Metrics& metrics);

}  // namespace dunlin
