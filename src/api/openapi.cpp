#include "api/context.h"
#include "api/openapi_shapes.h"
#include "base/check.h"
#include "wire/parameters.h"

namespace dunlin {
namespace {

Json parse(std::string_view text) {
    auto value = read_json(text);
    CHECK(value.has_value());
    return std::move(*value);
}

Json content(const char* type, const char* schema) {
    Json one(Json::Object{});
    Json reference = schema == nullptr
                         ? Json::Object{{"type", "string"}}
                         : Json::Object{{"$ref", std::string("#/components/schemas/") + schema}};
    one.set("schema", std::move(reference));
    return Json::Object{{type, std::move(one)}};
}

/// Completions and chat completions say theirs in the table of parameters.
bool is_answered_by_a_model(const EndpointRow& row) {
    return row.run == endpoints::completions || row.run == endpoints::chat_completions;
}

Json responses(const EndpointRow& row, const OpenApiShape& shape) {
    Json ok = row.run == endpoints::metrics ? content("text/plain", nullptr)
                                            : content("application/json", shape.answer);
    if (is_answered_by_a_model(row)) {
        Json events = content("text/event-stream", "Event");
        ok.set("text/event-stream", std::move((*events.object())[0].value));
    }
    if (row.run == endpoints::get_history) {
        Json text = content("text/markdown", nullptr);
        ok.set("text/markdown", std::move((*text.object())[0].value));
    }
    Json out(Json::Object{});
    out.set(std::to_string(shape.status),
            Json::Object{{"description", "The answer"}, {"content", std::move(ok)}});
    if (row.run == endpoints::readiness)
        out.set("503", Json::Object{{"description", "Not ready; the models say why"},
                                    {"content", content("application/json", "Object")}});
    out.set("default", Json::Object{{"description", "An error"},
                                    {"content", content("application/json", "Error")}});
    return out;
}

Json body_schema(const EndpointRow& row, const OpenApiShape& shape) {
    if (row.run == endpoints::chat_completions) return parameters_schema(Dialect::Chat);
    if (row.run == endpoints::completions) return parameters_schema(Dialect::Completions);
    Json schema = parse(shape.body);
    if (row.run == endpoints::create_session || row.run == endpoints::change_session)
        for (auto& [key, value] : *schema.object())
            if (key == "properties") value.set("parameters", answer_parameters_schema());
    return schema;
}

Json operation(const EndpointRow& row) {
    const OpenApiShape& shape = openapi_shape(row.run);
    Json out(Json::Object{});
    out.set("summary", row.summary);
    // Nothing, or a key: which of them holds is a setting.
    if (row.who != Who::Public)
        out.set("security", Json::Array{Json::Object{}, Json::Object{{"key", Json::Array{}}}});
    Json parameters = parse(shape.query);
    if (row.pattern.find('{') != row.pattern.npos) {
        Json schema = Json::Object{{"type", "string"}, {"minLength", 1}};
        parameters.array()->push_back(Json::Object{
            {"name", "id"}, {"in", "path"}, {"required", true}, {"schema", std::move(schema)}});
    }
    if (!parameters.array()->empty()) out.set("parameters", std::move(parameters));
    if (is_answered_by_a_model(row) || !shape.body.empty()) {
        Json schema(Json::Object{});
        schema.set("schema", body_schema(row, shape));
        out.set("requestBody",
                Json::Object{{"required", true},
                             {"content", Json::Object{{"application/json", std::move(schema)}}}});
    }
    out.set("responses", responses(row, shape));
    return out;
}

/// Adds the operation to those of its path.
void add_operation(Json& paths, const std::string& path, const std::string& method, Json one) {
    for (auto& [key, value] : *paths.object())
        if (key == path) {
            value.set(method, std::move(one));
            return;
        }
    paths.set(path, Json::Object{{method, std::move(one)}});
}

}  // namespace

Json openapi_document() {
    Json paths(Json::Object{});
    for (const auto& row : endpoint_rows()) {
        std::string path(row.pattern);
        if (const auto dots = path.find("..."); dots != path.npos) path.erase(dots, 3);
        std::string method(row.method);
        for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
        for (const char* prefix : {"", "/v1"})
            if (*prefix == 0 || row.v1) add_operation(paths, prefix + path, method, operation(row));
    }
    Json info(Json::Object{});
    info.set("title", "Dunlin").set("version", "0.1.0");
    Json document(Json::Object{});
    document.set("openapi", "3.1.0")
        .set("info", std::move(info))
        .set("paths", std::move(paths))
        .set("components", parse(openapi_components()));
    return document;
}

}  // namespace dunlin
