#include "app/choose_engine.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "app/hosted_devices.h"
#include "base/log.h"
#include "base/os.h"
#include "formats/model_config.h"
#include "models/model.h"
#include "tensor/dtype.h"
#include "wire/openai.h"

namespace dunlin {
namespace {

constexpr const char* kHowToBuild =
    "build the preset full with `scripts/build full`, or full-cuda, full-vulkan or full-metal for "
    "a GPU";

/// What the device setting means among the devices: a name, or the one of a kind that has the most
/// free memory, real GPUs first. nullptr: there is none.
const LlamaCppDevice* find_device(const std::string& wanted, const EngineStock& stock) {
    const LlamaCppDevice* best = nullptr;
    for (const LlamaCppDevice& device : stock.devices) {
        if (device.name == wanted) return &device;
        if (wanted == "auto" ? !device.is_gpu : device.kind != wanted) continue;
        const auto rank = [](const LlamaCppDevice& one) {
            return std::pair(one.is_gpu, one.memory_bytes_free);
        };
        if (best == nullptr || rank(device) > rank(*best)) best = &device;
    }
    return best;
}

std::string describe(const LlamaCppDevice& device) {
    return device.name + " (" + device.description + ", " + in_gib(device.memory_bytes_free) +
           " free)";
}

bool exceeds_memory(const EngineNeeds& needs, const EngineStock& stock) {
    return stock.memory_bytes > 0 && needs.file_bytes > stock.memory_bytes;
}

Error too_large(const EngineNeeds& needs, const std::string& room) {
    return {Code::OutOfMemory, "the file has " + in_gib(needs.file_bytes) + ", and " + room +
                                   "; take a smaller or more quantized one"};
}

/// Why the device and main memory cannot hold the file together, if so. What main memory holds
/// alone is no matter: then a device that fails costs speed and nothing else.
std::optional<Error> refuse_size(const LlamaCppDevice& device, const EngineWish& wish,
                                 const EngineNeeds& needs, const EngineStock& stock) {
    if (!exceeds_memory(needs, stock)) return std::nullopt;
    const size_t layers = wish.device_layers
                              ? std::min<size_t>(*wish.device_layers, needs.layers.size())
                              : layers_that_fit(needs.layers, device.memory_bytes_free, 0);
    // One file's tensors: their sum is no more than its size, but for an embedding counted twice.
    const uint64_t there =
        std::min(needs.file_bytes, std::accumulate(needs.layers.end() - static_cast<long>(layers),
                                                   needs.layers.end(), uint64_t{0}));
    if (there <= device.memory_bytes_free && needs.file_bytes - there <= stock.memory_bytes)
        return std::nullopt;
    return too_large(needs, "of it " + in_gib(there) + " would lie on " + describe(device) +
                                ", the rest in main memory, which has " +
                                in_gib(stock.memory_bytes));
}

Expected<EngineChoice> on_device(const LlamaCppDevice& device, const EngineWish& wish,
                                 const EngineNeeds& needs, const EngineStock& stock,
                                 const std::string& reason) {
    if (auto refused = refuse_size(device, wish, needs, stock))
        return std::unexpected(std::move(*refused));
    const std::string layers = wish.device_layers ? std::to_string(*wish.device_layers) + " layers"
                               : device.memory_bytes_free >= needs.file_bytes
                                   ? "the file's " + in_gib(needs.file_bytes) + " fit"
                                   : "as many layers as fit of " + in_gib(needs.file_bytes);
    return EngineChoice{"llama.cpp", device.name, wish.device_layers,
                        reason + " " + describe(device) + ": " + layers};
}

/// What computes on the CPU; `reason` says why it is the CPU.
Expected<EngineChoice> on_cpu(const EngineWish& wish, const EngineNeeds& needs,
                              const EngineStock& stock, const std::string& reason) {
    if (exceeds_memory(needs, stock))
        return std::unexpected(too_large(needs, "main memory has " + in_gib(stock.memory_bytes)));
    const bool native = needs.native_obstacle.empty();
    if (wish.engine == "llama.cpp")
        return EngineChoice{"llama.cpp", "cpu", {}, reason + "; the settings name llama.cpp"};
    if (native)
        return EngineChoice{
            "native",
            "cpu",
            {},
            reason + (wish.engine == "native" ? "; the settings name the native engine"
                                              : "; the native engine knows the model")};
    if (stock.has_llamacpp)
        return EngineChoice{"llama.cpp", "cpu", {}, reason + "; " + needs.native_obstacle};
    return fail(Code::Unsupported,
                needs.native_obstacle +
                    ", and this build is without llama.cpp, which knows more: " + kHowToBuild);
}

/// What is left where llama.cpp cannot compute the model.
Expected<EngineChoice> without_llamacpp(const EngineWish& wish, const EngineNeeds& needs,
                                        const EngineStock& stock) {
    if (!needs.native_obstacle.empty())
        return fail(Code::Unsupported, needs.llamacpp_obstacle + "; and " + needs.native_obstacle);
    if (wish.engine == "llama.cpp" || (wish.device != "auto" && wish.device != "cpu"))
        return fail(Code::Unsupported,
                    needs.llamacpp_obstacle +
                        "; the native engine can compute it: set models.engine and models.device "
                        "to \"auto\"");
    return on_cpu(wish, needs, stock, "on the CPU, because " + needs.llamacpp_obstacle);
}

/// Why a device that was named is not there, and what is.
Error no_such_device(const EngineWish& wish, const EngineStock& stock) {
    std::string have = "cpu";
    for (const LlamaCppDevice& device : stock.devices) have += ", " + device.name;
    return {Code::Unsupported,
            "there is no device \"" + wish.device +
                "\" (models.device); this build finds here: " + have +
                (stock.has_llamacpp
                     ? "; dunlin doctor tells more, and for GPUs there are the presets full-cuda, "
                       "full-vulkan and full-metal"
                     : std::string("; GPUs need a build with llama.cpp: ") + kHowToBuild)};
}

}  // namespace

Expected<EngineChoice> choose_engine(const EngineWish& wish, const EngineNeeds& needs,
                                     const EngineStock& stock) {
    const bool automatic = wish.device == "auto";
    if (wish.engine == "native") {
        if (!needs.native_obstacle.empty())
            return fail(Code::Unsupported,
                        needs.native_obstacle + "; set models.engine to \"auto\" or \"llama.cpp\"");
        if (!automatic && wish.device != "cpu")
            return fail(Code::Unsupported,
                        "the native engine computes on the CPU, and models.device is \"" +
                            wish.device + "\"; set models.engine to \"auto\" or \"llama.cpp\"");
        return on_cpu(wish, needs, stock, "on the CPU");
    }
    if (wish.engine == "llama.cpp" && !stock.has_llamacpp)
        return fail(Code::Unsupported,
                    std::string("this build is without llama.cpp: ") + kHowToBuild);
    if (stock.has_llamacpp && !needs.llamacpp_obstacle.empty())
        return without_llamacpp(wish, needs, stock);
    if (wish.device == "cpu") return on_cpu(wish, needs, stock, "on the CPU, as the settings say");

    const LlamaCppDevice* device = find_device(wish.device, stock);
    if (!automatic) {
        if (device == nullptr) return std::unexpected(no_such_device(wish, stock));
        return on_device(*device, wish, needs, stock, "the settings name");
    }
    if (device == nullptr)
        return on_cpu(wish, needs, stock,
                      stock.has_llamacpp ? "there is no GPU that llama.cpp can use"
                                         : "this build computes on the CPU alone");
    if (device->memory_bytes_free < needs.file_bytes / 2 && !exceeds_memory(needs, stock))
        return on_cpu(wish, needs, stock,
                      describe(*device) + " holds less than half of " + in_gib(needs.file_bytes));
    return on_device(*device, wish, needs, stock, "the best device here is");
}

Expected<ChosenRunner> choose_runner(
    const std::string& model, const EngineWish& wish, const EngineNeeds& needs,
    const EngineStock& stock,
    const std::function<Expected<std::unique_ptr<Runner>>(const EngineChoice&)>& make) {
    auto choice = choose_engine(wish, needs, stock);
    if (!choice) return std::unexpected(choice.error());
    auto runner = make(*choice);
    if (!runner && choice->device != "cpu") {
        const std::string failed = choice->device + " failed (" + runner.error().message + ")";
        log_warning(
            "app", "a device failed, so the CPU takes over",
            {{"model", model}, {"device", choice->device}, {"error", runner.error().message}});
        EngineWish on_cpu = wish;
        on_cpu.device = "cpu";
        choice = choose_engine(on_cpu, needs, stock);
        if (!choice)
            return fail(choice.error().code,
                        failed + ", and the CPU cannot take over: " + choice.error().message);
        choice->why = failed + ", so the CPU takes over: " + choice->engine + " computes on it";
        runner = make(*choice);
    }
    if (!runner) return std::unexpected(runner.error());
    return ChosenRunner{std::move(*runner), std::move(*choice)};
}

std::string native_obstacle(const GgufFile& file) {
    const std::string architecture(file.get_string("general.architecture").value_or(""));
    if (!architecture_known(architecture)) {
        std::string known;
#define ARCHITECTURE(name, load) known += (known.empty() ? "" : ", ") + std::string(#name);
#include "models/architectures.def"
#undef ARCHITECTURE
        return "the native engine does not know the architecture \"" +
               log_escape(lossy_utf8(architecture)) + "\", it knows " + known;
    }
    if (const auto config = model_config_from_gguf(file);
        !config && config.error().code == Code::Unsupported)
        return config.error().message;
    for (const auto name : file.names())
        if (const DType type = file.find(name)->dtype; !block_format(type).computed)
            return "the native engine does not compute tensors of type " +
                   std::string(to_string(type)) + ", as \"" + log_escape(lossy_utf8(name)) +
                   "\" is";
    return {};
}

EngineStock engine_stock(const EngineWish& wish) {
    EngineStock stock{.memory_bytes = usable_memory_bytes()};
#ifdef DUNLIN_LLAMACPP
    stock.has_llamacpp = true;
#endif
    if (wish.engine != "native" && wish.device != "cpu") stock.devices = find_devices();
    return stock;
}

std::string in_gib(uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / (1ULL << 30));
    return text;
}

}  // namespace dunlin
