#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "json/json.h"

namespace dunlin {

enum class Dialect : uint8_t { Completions = 1, Chat = 2, Both = 3 };

struct Parameter {
    enum class Type : uint8_t {
        Boolean,
        Integer,
        Number,
        String,
        Array,
        Object,
        Prompt,    // string, or array of strings or of token ids
        Stop,      // string or array of strings
        Logprobs,  // Boolean for chat, Integer for completions
        Ignored,   // accepted without effect
        Refused,   // not supported: only the values in default_json are accepted
    };
    std::string_view name;
    Type type;
    double least, most;
    std::string_view default_json;  // Refused: an array of what is accepted
    Dialect dialects;
    std::string_view effect;

    bool in(Dialect dialect) const {
        return (static_cast<uint8_t>(dialects) & static_cast<uint8_t>(dialect)) != 0;
    }
};

/// parameters.def, in its order.
std::span<const Parameter> request_parameters();

/// Checks every member of a request body by the table. Returns the names that have no effect, names
/// that no row has among them. Errors: Invalid with the name as `param`.
Expected<std::vector<std::string>> check_parameters(const Json& body, Dialect dialect);

/// Whether a session may keep a value for this parameter of a chat: what an answer is generated
/// with, not what is asked, of whom, or in which form the answer comes.
bool is_answer_parameter(std::string_view name);

/// The JSON schema of a request body, for OpenAPI.
Json parameters_schema(Dialect dialect);
/// The JSON schema of an object of what is_answer_parameter() names, and nothing else.
Json answer_parameters_schema();

}  // namespace dunlin
