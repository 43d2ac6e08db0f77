#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"
#include "engine/engine.h"
#include "engine/local_engine.h"
#include "formats/gguf.h"
#include "registry/local_registry.h"
#include "runner/native/native_runner.h"

namespace dunlin {

/// What a GGUF file says in its header. Errors: what GgufFile::open gives.
Expected<ModelFacts> inspect_model(const ModelEntry& entry);

struct LoadSettings {
    NativeSettings native;
    EngineSettings engine;  // model and end_tokens are filled from the entry and the file
};

/// Opens a GGUF file and puts tokenizer, template, weights and scheduler together. A path "fake"
/// gives the fake runner, for trying everything but the model. A file without a vocabulary takes
/// token ids only.
Expected<std::shared_ptr<Engine>> load_engine(const ModelEntry& entry, const LoadSettings& settings,
                                              const Clock& clock, Metrics& metrics);

}  // namespace dunlin
