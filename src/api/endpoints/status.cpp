#include "api/context.h"

namespace dunlin::endpoints {

void health(ApiContext&, const ExchangePtr& exchange, const Router::Match&) {
    exchange->respond(json_response(200, Json::Object{{"status", "ok"}}));
}

void readiness(ApiContext& api, const ExchangePtr& exchange, const Router::Match&) {
    const auto id = api.registry.resolve("");
    bool ready = false;
    Json::Array models;
    for (const auto& model : api.registry.list()) {
        bool able = model.state == ModelState::OnDisk || model.state == ModelState::Loading;
        std::string reason = model.reason;
        if (const auto engine = api.registry.loaded(model.id)) {
            const auto state = engine->state();
            able = state.ready && !state.stalled;
            if (state.stalled) reason = "the engine has work and made no step for too long";
        }
        if (id && *id == model.id) ready = able;
        models.push_back(
            Json::Object{{"id", model.id}, {"state", to_string(model.state)}, {"reason", reason}});
    }
    ready = ready && !api.draining;
    const char* status = ready ? "ready" : api.draining ? "draining" : "not_ready";
    exchange->respond(json_response(
        ready ? 200 : 503, Json::Object{{"status", status}, {"models", std::move(models)}}));
}

void metrics(ApiContext& api, const ExchangePtr& exchange, const Router::Match&) {
    exchange->respond({.status = 200,
                       .headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
                       .body = metrics_text(api.metrics)});
}

void openapi(ApiContext&, const ExchangePtr& exchange, const Router::Match&) {
    exchange->respond(json_response(200, openapi_document()));
}

}  // namespace dunlin::endpoints
