#pragma once

#include <memory>
#include <string>

#include "app/choose_engine.h"
#include "app/choose_tokenizer.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "engine/local_engine.h"
#include "registry/local_registry.h"
#include "runner/llamacpp/llamacpp_runner.h"
#include "runner/native/native_runner.h"

namespace dunlin {

/// What a GGUF file says in its header. Errors: what GgufFile::open gives.
Expected<ModelFacts> inspect_model(const ModelEntry& entry);

/// What would compute the model, by its header; loads nothing. Errors: those of GgufFile::open and
/// choose_engine().
Expected<EngineChoice> plan_model(const ModelEntry& entry, const EngineWish& wish,
                                  const EngineStock& stock);

/// The file's tokenizer: ours, or where that does not know this kind, from a tokenizer.json beside
/// the file; compared with llama.cpp's where that is to compute the model;
/// llama.cpp's where the two differ or ours does not know this kind. None where the file has no
/// vocabulary. `chat`: the model's template, for the comparison, or nullptr. Errors: Unsupported,
/// Invalid, those of choose_engine().
Expected<ModelVocabulary> load_vocabulary(const ModelEntry& entry, const GgufFile& file,
                                          const EngineWish& wish, const EngineStock& stock,
                                          const ChatTemplate* chat);

struct LoadSettings {
    EngineWish wish = {};
    // Threads, room and the type of keys and values hold for llama.cpp too.
    NativeSettings native;
    EngineSettings engine;  // model and end_tokens are filled from the entry and the file
};

/// Opens a GGUF file, chooses what computes it, and puts tokenizer, template, runner and scheduler
/// together. Where a GPU fails, the CPU takes over, with a line in the log. A path "fake" gives the
/// fake runner, for trying everything but the model. A file without a vocabulary takes token ids
/// only.
Expected<LoadedModel> load_engine(const ModelEntry& entry, const LoadSettings& settings,
                                  const Clock& clock, Metrics& metrics);

}  // namespace dunlin
