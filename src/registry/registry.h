#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace dunlin {

enum class ModelState : uint8_t { NotDownloaded, OnDisk, Loading, Loaded, Failed };
std::string_view to_string(ModelState state);  // "not_downloaded", "on_disk", ...

/// One listed model, as /models shows it.
struct ModelInfo {
    std::string id;
    ModelState state = ModelState::NotDownloaded;
    /// What happened and what to do: for Failed and NotDownloaded; for OnDisk where it is too large
    /// for the memory; for Loading where the load before failed.
    std::string reason;
    int64_t created_unix_s = 0;
    uint64_t file_bytes = 0;
    // From the file's header, once it is on disk and valid:
    std::string architecture, quantization;
    uint32_t context_tokens = 0;  // once loaded: what a request may have
    uint64_t parameters = 0;
    // Once loaded:
    std::optional<double> load_ms;
    std::optional<Capabilities> capabilities;
    std::string device, engine;  // "cpu", "native"
    std::string why;             // these, in one sentence
};

/// The models this server knows. Loads one lazily at the first request that names it, once
/// however many ask, on a thread of its own; then keeps it. [any thread]
class Registry {
 public:
    virtual ~Registry() = default;

    virtual std::vector<ModelInfo> list() const = 0;

    /// The listed id that a request means: itself, what an alias names, the default for "".
    /// Errors: ModelNotFound.
    virtual Expected<std::string> resolve(std::string_view name) const = 0;
    virtual Expected<ModelInfo> find(std::string_view id) const = 0;

    /// Calls `done` exactly once, with the loaded engine or why there is none, perhaps before
    /// acquire() returns, perhaps from the loading thread: it must only post.
    /// Errors: ModelNotFound; OutOfMemory where the machine cannot hold the file; and what
    /// loading gave, Corrupt for a file that cannot be used (the next acquire tries again).
    using Acquired = std::move_only_function<void(Expected<std::shared_ptr<Engine>>)>;
    virtual void acquire(std::string_view id, Acquired done) = 0;

    /// The engine if it is loaded now; never loads.
    virtual std::shared_ptr<Engine> loaded(std::string_view id) const = 0;

    /// Drains every engine until `until_us` on the clock, then lets go of them. Blocks.
    virtual void drain(int64_t until_us) = 0;
};

}  // namespace dunlin
