#include "api/openapi_shapes.h"

namespace dunlin {
namespace {

/// What is the same for every operation, and the shapes of answers.
constexpr std::string_view kComponents = R"({
"securitySchemes":{"key":{"type":"http","scheme":"bearer"}},"schemas":{
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
"Session":{"type":"object","required":["id","object","title","model","system","parameters","created","updated",
"expires","messages","head","answering"],"additionalProperties":false,"properties":{"id":{"type":"string"},
"object":{"const":"session"},"title":{"type":["string","null"]},"model":{"type":["string","null"]},
"system":{"type":["string","null"]},"parameters":{"type":"object"},"created":{"type":"integer"},
"updated":{"type":"integer"},"expires":{"type":["integer","null"]},"messages":{"type":"integer","minimum":0},
"head":{"type":["string","null"]},"answering":{"type":"boolean"}}},
"Sessions":{"type":"object","required":["object","data","has_more"],"properties":{"object":{"const":"list"},
"data":{"type":"array","items":{"$ref":"#/components/schemas/Session"}},"has_more":{"type":"boolean"}}},
"DeletedSession":{"type":"object","required":["id","object","deleted"],"properties":{"id":{"type":"string"},
"object":{"const":"session"},"deleted":{"const":true}}},
"Message":{"type":"object","required":["id","role","content","created","parent","status","model","finish_reason",
"usage","siblings"],"additionalProperties":false,"properties":{"id":{"type":"string"},
"role":{"enum":["user","assistant"]},"content":{"type":"string"},"created":{"type":"integer"},
"parent":{"type":["string","null"]},"status":{"enum":["complete","writing","interrupted","cancelled","failed"]},
"model":{"type":["string","null"]},"finish_reason":{"type":["string","null"]},
"usage":{"anyOf":[{"$ref":"#/components/schemas/Usage"},{"type":"null"}]},
"siblings":{"type":"array","minItems":1,"items":{"type":"string"}}}},
"History":{"type":"object","required":["object","session","data","has_more"],"properties":{
"object":{"const":"list"},"session":{"$ref":"#/components/schemas/Session"},
"data":{"type":"array","items":{"$ref":"#/components/schemas/Message"}},"has_more":{"type":"boolean"}}},
"Object":{"type":"object"}}})";

constexpr std::string_view kListQuery = R"([
{"name":"query","in":"query","description":"Only sessions with this text in their title or a message, whatever the case",
"schema":{"type":"string","maxLength":256}},
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100,"default":50}},
{"name":"after","in":"query","description":"The id that the page before ended with",
"schema":{"type":"string","maxLength":256}}])";

constexpr std::string_view kHistoryQuery = R"([
{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":200,"default":50}},
{"name":"before","in":"query","description":"The id that the page after begins with",
"schema":{"type":"string","maxLength":256}},
{"name":"format","in":"query","description":"The whole branch as a file","schema":{"enum":["json","markdown"]}}])";

constexpr std::string_view kSessionBody =
    R"({"type":"object","additionalProperties":false,"properties":{
"title":{"type":["string","null"],"maxLength":256,"description":"Absent: from the first question"},
"model":{"type":["string","null"],"maxLength":256,"description":"A listed model; absent means the default"},
"system":{"type":["string","null"],"description":"The system message"}}})";

constexpr std::string_view kRollbackBody =
    R"({"type":"object","required":["count"],"additionalProperties":false,
"properties":{"count":{"type":"integer","minimum":1,"maximum":4294967295,"description":"How many messages"}}})";

constexpr std::string_view kBranchBody =
    R"({"type":"object","required":["message_id"],"additionalProperties":false,
"properties":{"message_id":{"type":"string"}}})";

const OpenApiShape kShapes[] = {
    {.run = endpoints::completions, .answer = "Answer"},
    {.run = endpoints::chat_completions, .answer = "Answer"},
    {.run = endpoints::list_sessions, .answer = "Sessions", .query = kListQuery},
    {.run = endpoints::create_session, .answer = "Session", .status = 201, .body = kSessionBody},
    {.run = endpoints::get_session, .answer = "Session"},
    {.run = endpoints::change_session, .answer = "Session", .body = kSessionBody},
    {.run = endpoints::delete_session, .answer = "DeletedSession"},
    {.run = endpoints::get_history, .answer = "History", .query = kHistoryQuery},
    {.run = endpoints::rollback_history, .answer = "Session", .body = kRollbackBody},
    {.run = endpoints::show_branch, .answer = "Session", .body = kBranchBody},
};
constexpr OpenApiShape kPlain;

}  // namespace

const OpenApiShape& openapi_shape(Endpoint run) {
    for (const OpenApiShape& shape : kShapes)
        if (shape.run == run) return shape;
    return kPlain;
}

std::string_view openapi_components() {
    return kComponents;
}

}  // namespace dunlin
