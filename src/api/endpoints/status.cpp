#include "api/context.h"

namespace dunlin::endpoints {

void health(ApiContext&, const Call& call) {
    call.exchange->respond(json_response(200, Json::Object{{"status", "ok"}}));
}

namespace {

/// Whether a request for the model can be answered; `reason` says why not.
bool is_able(const ApiContext& api, const ModelInfo& model, std::string& reason) {
    reason = model.reason;
    const auto engine = api.registry.loaded(model.id);
    if (!engine) {
        // Listed, its file validated and not too large, and its last load did not fail.
        const bool waits = model.state == ModelState::OnDisk || model.state == ModelState::Loading;
        return waits && reason.empty();
    }
    const EngineState state = engine->state();
    if (state.stalled) reason = "the engine has work and made no step for too long";
    if (!state.ready) reason = "the engine takes no more requests";
    return state.ready && !state.stalled;
}

/// Whether the default model can answer, and what there is to say about every model.
bool ask_models(const ApiContext& api, Json::Array& models) {
    const auto chosen = api.registry.resolve("");
    bool ready = false;
    for (const auto& model : api.registry.list()) {
        std::string reason;
        const bool able = is_able(api, model, reason);
        if (chosen && *chosen == model.id) ready = able;
        models.push_back(Json::Object{{"id", model.id},
                                      {"state", to_string(model.state)},
                                      {"able", able},
                                      {"reason", or_null(reason)}});
    }
    return ready && !api.draining;
}

}  // namespace

void readiness(ApiContext& api, const Call& call) {
    Json::Array models;
    const bool ready = ask_models(api, models);
    const char* status = ready ? "ready" : api.draining ? "draining" : "not_ready";
    call.exchange->respond(json_response(
        ready ? 200 : 503, Json::Object{{"status", status}, {"models", std::move(models)}}));
}

void metrics(ApiContext& api, const Call& call) {
    call.exchange->respond(
        {.status = 200,
         .headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
         .body = metrics_text(api.metrics)});
}

void openapi(ApiContext&, const Call& call) {
    call.exchange->respond(json_response(200, openapi_document()));
}

}  // namespace dunlin::endpoints

namespace dunlin {

bool is_ready(const ApiContext& api) {
    Json::Array unread;
    return endpoints::ask_models(api, unread);
}

}  // namespace dunlin
