#include "registry/local_registry.h"

#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"

namespace dunlin {

namespace {

class LocalRegistry final : public Registry {
 public:
    LocalRegistry(RegistrySettings settings, const Clock& clock, Metrics& metrics)
        : settings_(std::move(settings)), clock_(clock), metrics_(metrics) {
        for (const ModelEntry& entry : settings_.models) add(entry);
    }

    ~LocalRegistry() override {
        for (Model& model : models_)
            if (model.loader.joinable()) model.loader.join();
    }

    std::vector<ModelInfo> list() const override {
        const std::lock_guard lock(mutex_);
        std::vector<ModelInfo> out;
        for (const Model& model : models_) out.push_back(model.info);
        return out;
    }

    Expected<std::string> resolve(std::string_view name) const override {
        const auto alias = settings_.aliases.find(name);
        const std::string_view id = name.empty()                       ? settings_.default_model
                                    : alias != settings_.aliases.end() ? alias->second
                                                                       : name;
        for (const Model& model : models_)
            if (model.entry.id == id) return model.entry.id;
        return unknown(name);
    }

    Expected<ModelInfo> find(std::string_view id) const override {
        const std::lock_guard lock(mutex_);
        for (const Model& model : models_)
            if (model.entry.id == id) return model.info;
        return unknown(id);
    }

    void acquire(std::string_view id, Acquired done) override {
        std::unique_lock lock(mutex_);
        Model* model = nullptr;
        for (Model& one : models_)
            if (one.entry.id == id) model = &one;
        if (model == nullptr) {
            lock.unlock();
            return done(unknown(id));
        }
        if (model->engine) {
            auto engine = model->engine;
            lock.unlock();
            return done(std::move(engine));
        }
        if (auto refused = refusal(*model)) {
            lock.unlock();
            return done(std::unexpected(std::move(*refused)));
        }
        model->waiting.push_back(std::move(done));
        if (model->info.state == ModelState::Loading) return;
        model->info.state = ModelState::Loading;
        if (model->loader.joinable()) model->loader.join();  // an earlier try, long over
        model->loader = std::thread([this, model] { load(*model); });
    }

    std::shared_ptr<Engine> loaded(std::string_view id) const override {
        const std::lock_guard lock(mutex_);
        for (const Model& model : models_)
            if (model.entry.id == id) return model.engine;
        return nullptr;
    }

    void drain(int64_t until_us) override {
        std::vector<std::shared_ptr<Engine>> engines;
        {
            const std::lock_guard lock(mutex_);
            draining_ = true;
            for (Model& model : models_)
                if (model.engine) engines.push_back(model.engine);
        }
        for (const auto& engine : engines) engine->drain(until_us);
        const std::lock_guard lock(mutex_);
        for (Model& model : models_) model.engine.reset();
    }

 private:
    struct Model {
        ModelEntry entry;
        ModelInfo info;
        std::shared_ptr<Engine> engine;
        std::vector<Acquired> waiting;
        std::thread loader;
        bool fits = true;
    };

    void add(const ModelEntry& entry) {
        Model& model = models_.emplace_back();
        model.entry = entry;
        ModelInfo& info = model.info;
        info.id = entry.id;
        info.created_unix_s = clock_.unix_s();
        info.reason = entry.reason;
        if (entry.path.empty()) return;
        const auto facts = settings_.inspect(entry);
        info.state = facts ? ModelState::OnDisk : ModelState::Failed;
        if (!facts) {
            info.reason = facts.error().message;
            log_error("registry", "a model cannot be used",
                      {{"model", entry.id}, {"error", info.reason}});
            return;
        }
        info.architecture = facts->architecture;
        info.quantization = facts->quantization;
        info.file_bytes = facts->file_bytes;
        info.parameters = facts->parameters;
        info.context_tokens = facts->context_tokens;
        model.fits = facts->too_large.empty();
        if (!model.fits) info.reason = facts->too_large;
    }

    /// Why there is nothing to load now, if so. REQUIRES: the lock is held.
    std::optional<Error> refusal(const Model& model) const {
        if (draining_) return Error{Code::NotReady, "the server is shutting down"};
        if (model.info.state == ModelState::NotDownloaded)
            return Error{Code::NotReady, model.info.reason};
        if (!model.fits) return Error{Code::OutOfMemory, model.info.reason};
        return std::nullopt;
    }

    /// Read at each scrape; nothing once the engine is gone.
    void show(const std::string& id, const std::shared_ptr<Engine>& engine) {
        const auto gauge = [&](const char* name, const char* help, Labels labels, auto&& read) {
            labels.insert(labels.begin(), {"model", id});
            metrics_.gauge(name, help, std::move(labels),
                           [weak = std::weak_ptr(engine), read]() -> double {
                               const auto strong = weak.lock();
                               return strong ? static_cast<double>(read(strong->state())) : 0;
                           });
        };
        gauge("dunlin_sequences_running", "Answers that are computed now.", {},
              [](const EngineState& state) { return state.running; });
        gauge("dunlin_sequences_queued", "Answers that wait for a place.", {},
              [](const EngineState& state) { return state.queued; });
        constexpr std::pair<const char*, uint64_t MemoryReport::*> kParts[] = {
            {"weights", &MemoryReport::weights_bytes},
            {"kv_total", &MemoryReport::kv_total_bytes},
            {"kv_used", &MemoryReport::kv_used_bytes},
            {"kv_cached", &MemoryReport::kv_cached_bytes},
            {"scratch", &MemoryReport::scratch_bytes},
            {"device", &MemoryReport::device_bytes}};
        for (const auto& [part, field] : kParts)
            gauge("dunlin_model_memory_bytes", "Memory of a loaded model by what it holds.",
                  {{"part", part}},
                  [field](const EngineState& state) { return state.memory.*field; });
    }

    static std::unexpected<Error> unknown(std::string_view name) {
        return fail(Code::ModelNotFound,
                    "The model '" + std::string(name.substr(0, 200)) +
                        "' does not exist; GET "
                        "/v1/models lists those that do.",
                    "model");
    }

    /// What is wrong with the file is no fault of the request that made it load.
    static Error as_load_error(const std::string& id, Error error) {
        if (error.code == Code::Invalid || error.code == Code::Unsupported)
            error.code = Code::Corrupt;
        return {error.code, "the model '" + id + "' cannot be loaded: " + error.message};
    }

    void load(Model& model) {
        const int64_t began = clock_.now_us();
        auto loaded = settings_.load(model.entry);
        Expected<std::shared_ptr<Engine>> engine =
            loaded ? Expected<std::shared_ptr<Engine>>(loaded->engine)
                   : std::unexpected(as_load_error(model.entry.id, loaded.error()));
        const double load_ms = static_cast<double>(clock_.now_us() - began) / 1e3;
        std::vector<Acquired> waiting;
        {
            const std::lock_guard lock(mutex_);
            waiting.swap(model.waiting);
            model.info.state = engine ? ModelState::Loaded : ModelState::Failed;
            if (engine) {
                model.engine = *engine;
                model.info.reason.clear();
                model.info.load_ms = load_ms;
                model.info.capabilities = (*engine)->capabilities();
                model.info.context_tokens = model.info.capabilities->sequence_tokens_max;
                model.info.device = loaded->device;
                model.info.engine = loaded->engine_name;
                model.info.why = loaded->why;
            } else {
                model.info.reason = engine.error().message;
            }
        }
        if (engine) {
            show(model.entry.id, *engine);
            metrics_
                .histogram("dunlin_model_load_duration_seconds", "Time to load a model",
                           {{"model", model.entry.id}})
                .observe(load_ms / 1e3);
            log_info("registry", "model loaded",
                     {{"model", model.entry.id},
                      {"engine", loaded->engine_name},
                      {"device", loaded->device},
                      {"why", loaded->why},
                      {"load_ms", load_ms}});
        } else {
            log_error("registry", "a model failed to load",
                      {{"model", model.entry.id}, {"error", engine.error().message}});
        }
        for (Acquired& done : waiting) done(engine);
    }

    const RegistrySettings settings_;
    const Clock& clock_;
    Metrics& metrics_;
    mutable std::mutex mutex_;
    std::deque<Model> models_;  // never changes in number after construction
    bool draining_ = false;
};

}  // namespace

std::unique_ptr<Registry> make_registry(RegistrySettings settings, const Clock& clock,
                                        Metrics& metrics) {
    return std::make_unique<LocalRegistry>(std::move(settings), clock, metrics);
}

}  // namespace dunlin
