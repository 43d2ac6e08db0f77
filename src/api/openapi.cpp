#include "api/context.h"
#include "wire/parameters.h"

namespace dunlin {
namespace {

Json operation(const EndpointRow& row) {
    Json out(Json::Object{});
    out.set("summary", row.summary);
    if (row.pattern.find('{') != row.pattern.npos)
        out.set("parameters",
                Json::Array{Json::Object{{"name", "id"},
                                         {"in", "path"},
                                         {"required", true},
                                         {"schema", Json::Object{{"type", "string"}}}}});
    if (row.method == "POST") {
        const auto dialect =
            row.run == endpoints::chat_completions ? Dialect::Chat : Dialect::Completions;
        Json schema(Json::Object{});
        schema.set("schema", parameters_schema(dialect));
        out.set("requestBody",
                Json::Object{{"required", true},
                             {"content", Json::Object{{"application/json", std::move(schema)}}}});
    }
    Json responses(Json::Object{});
    responses.set("200", Json::Object{{"description", "The answer"}});
    responses.set("default", Json::Object{{"description", "An error object"}});
    out.set("responses", std::move(responses));
    return out;
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
            if (*prefix == 0 || row.v1)
                paths.set(prefix + path, Json::Object{{method, operation(row)}});
    }
    Json info(Json::Object{});
    info.set("title", "Dunlin").set("version", "0.1.0");
    Json document(Json::Object{});
    document.set("openapi", "3.1.0").set("info", std::move(info)).set("paths", std::move(paths));
    return document;
}

}  // namespace dunlin
