#include "api/context.h"

namespace dunlin::endpoints {
namespace {

Json model_json(const ModelInfo& model) {
    Json out(Json::Object{});
    out.set("id", model.id)
        .set("object", "model")
        .set("created", model.created_unix_s)
        .set("owned_by", "dunlin")
        .set("state", to_string(model.state))
        .set("reason", or_null(model.reason))
        .set("architecture", model.architecture)
        .set("quantization", model.quantization)
        .set("context_tokens", model.context_tokens)
        .set("parameters", model.parameters)
        .set("file_bytes", model.file_bytes)
        .set("load_ms", model.load_ms ? Json(*model.load_ms) : Json())
        .set("device", or_null(model.device))
        .set("engine", or_null(model.engine))
        .set("why", or_null(model.why));
    // What a client can rely on, which differs between engines.
    const auto& can = model.capabilities;
    out.set("sequences_max", can ? Json(can->sequences_max) : Json())
        .set("batch_invariant", can ? Json(can->batch_invariant) : Json())
        .set("shares_prefixes", can ? Json(can->shares_prefixes) : Json());
    return out;
}

}  // namespace

void list_models(ApiContext& api, const Call& call) {
    Json::Array data;
    for (const auto& model : api.registry.list()) data.push_back(model_json(model));
    call.exchange->respond(
        json_response(200, Json::Object{{"object", "list"}, {"data", std::move(data)}}));
}

void get_model(ApiContext& api, const Call& call) {
    const auto id = api.registry.resolve(call.match.param("id"));
    const auto model = id ? api.registry.find(*id) : std::unexpected(id.error());
    if (!model) return refuse(api, *call.exchange, model.error());
    call.exchange->respond(json_response(200, model_json(*model)));
}

}  // namespace dunlin::endpoints
