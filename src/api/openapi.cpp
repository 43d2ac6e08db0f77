#include "api/context.h"
#include "base/check.h"
#include "wire/parameters.h"

namespace dunlin {
namespace {

/// What is the same for every operation, and the shapes of answers.
constexpr std::string_view kComponents = R"({"schemas":{
"Error":{"type":"object","required":["error"],"properties":{"error":{"type":"object",
"required":["message","type","param","code"],"properties":{"message":{"type":"string"},
"type":{"type":"string"},"param":{"type":["string","null"]},"code":{"type":["string","null"]}}}}},
"Usage":{"type":"object","required":["prompt_tokens","completion_tokens","total_tokens"],"properties":{
"prompt_tokens":{"type":"integer"},"completion_tokens":{"type":"integer"},"total_tokens":{"type":"integer"}}},
"Answer":{"type":"object","required":["id","object","created","model","choices","usage","system_fingerprint"],
"properties":{"id":{"type":"string"},"object":{"enum":["chat.completion","text_completion"]},
"created":{"type":"integer"},"model":{"type":"string"},"system_fingerprint":{"type":"string"},
"usage":{"$ref":"#/components/schemas/Usage"},"choices":{"type":"array","minItems":1,"items":{"type":"object",
"required":["index","finish_reason","logprobs"],"properties":{"index":{"type":"integer"},
"finish_reason":{"enum":["stop","length"]}}}}}},
"Event":{"description":"One server-sent event; its data is a chunk, an error object, or [DONE]",
"type":"object","required":["data"],"properties":{"data":{"type":"string"}}},
"Object":{"type":"object"}}})";

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

Json responses(const EndpointRow& row) {
    Json ok = row.run == endpoints::metrics ? content("text/plain", nullptr)
              : row.method == "POST"        ? content("application/json", "Answer")
                                            : content("application/json", "Object");
    if (row.method == "POST") {
        Json events = content("text/event-stream", "Event");
        ok.set("text/event-stream", std::move((*events.object())[0].value));
    }
    Json out(Json::Object{});
    out.set("200", Json::Object{{"description", "The answer"}, {"content", std::move(ok)}});
    if (row.run == endpoints::readiness)
        out.set("503", Json::Object{{"description", "Not ready; the models say why"},
                                    {"content", content("application/json", "Object")}});
    out.set("default", Json::Object{{"description", "An error"},
                                    {"content", content("application/json", "Error")}});
    return out;
}

Json operation(const EndpointRow& row) {
    Json out(Json::Object{});
    out.set("summary", row.summary);
    if (row.pattern.find('{') != row.pattern.npos) {
        Json schema = Json::Object{{"type", "string"}, {"minLength", 1}};
        out.set("parameters", Json::Array{Json::Object{{"name", "id"},
                                                       {"in", "path"},
                                                       {"required", true},
                                                       {"schema", std::move(schema)}}});
    }
    if (row.method == "POST") {
        const auto dialect =
            row.run == endpoints::chat_completions ? Dialect::Chat : Dialect::Completions;
        Json schema(Json::Object{});
        schema.set("schema", parameters_schema(dialect));
        out.set("requestBody",
                Json::Object{{"required", true},
                             {"content", Json::Object{{"application/json", std::move(schema)}}}});
    }
    out.set("responses", responses(row));
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
    document.set("openapi", "3.1.0")
        .set("info", std::move(info))
        .set("paths", std::move(paths))
        .set("components", parse(kComponents));
    return document;
}

}  // namespace dunlin
