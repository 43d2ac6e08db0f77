#include "wire/openai.h"

#include <algorithm>
#include <charconv>

#include "wire/fields.h"
#include "wire/prompts.h"

namespace dunlin {
namespace {

Expected<void> read_stop(const Json& body, WireRequest& out) {
    const Json* stop = given(body, "stop");
    if (!stop) return {};
    const Json::Array one{*stop};
    for (const Json& text : stop->array() ? *stop->array() : one) {
        if (!text.string() || text.string()->empty() || text.string()->size() > 1024)
            return invalid("each stop must be a string of 1 to 1024 bytes", "stop");
        out.stop.push_back(*text.string());
    }
    return {};
}

Expected<void> read_logit_bias(const Json& body, WireRequest& out) {
    const Json* bias = given(body, "logit_bias");
    if (!bias) return {};
    if (bias->object()->size() > 4096)
        return invalid("'logit_bias' has more than 4096 entries", "logit_bias");
    for (const auto& [key, value] : *bias->object()) {
        int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc{} || end != key.data() + key.size() || id < 0)
            return invalid("the keys of 'logit_bias' must be token ids", "logit_bias");
        if (!value.is_number() || value.number() < -100 || value.number() > 100)
            return invalid("the values of 'logit_bias' must be between -100 and 100", "logit_bias");
        out.logit_bias.emplace_back(id, static_cast<float>(value.number()));
    }
    return {};
}

Expected<void> read_logprobs(const Json& body, Dialect dialect, WireRequest& out) {
    const Json* logprobs = given(body, "logprobs");
    int64_t count = 0;
    if (dialect == Dialect::Completions) {
        if (logprobs && logprobs->to_int64(count)) out.logprobs = static_cast<uint32_t>(count);
        if (out.echo && out.logprobs)
            return invalid("'echo' together with 'logprobs' is not supported", "echo");
        return {};
    }
    const bool on = logprobs && *logprobs->boolean();
    const Json* top = given(body, "top_logprobs");
    if (top && !on) return invalid("'top_logprobs' needs 'logprobs': true", "top_logprobs");
    if (top) top->to_int64(count);
    if (on) out.logprobs = static_cast<uint32_t>(count);
    return {};
}

Expected<void> read_stream_options(const Json& body, WireRequest& out) {
    const Json* options = given(body, "stream_options");
    if (!options) return {};
    const Json* usage = given(*options, "include_usage");
    if (usage && !usage->boolean())
        return invalid("'include_usage' must be of type boolean", "stream_options.include_usage");
    out.include_usage = usage && *usage->boolean();
    for (const auto& [key, value] : *options->object())
        if (key != "include_usage") out.ignored.push_back("stream_options." + key);
    // OpenAI refuses these without a stream; clients with fixed settings send them anyway.
    if (!out.stream) out.ignored.emplace_back("stream_options");
    return {};
}

/// Limits that depend on more than one field.
Expected<void> check_together(const Json& body, const WireRequest& out) {
    const Json* mode = given(body, "truncation");
    if (mode && *mode->string() != "auto" && *mode->string() != "disabled")
        return invalid("'truncation' must be auto or disabled", "truncation");
    const Json* best_of = given(body, "best_of");
    if (best_of && best_of->number() != out.n)
        return invalid("'best_of' is supported only where it equals 'n'", "best_of");
    if (!out.session_id.empty()) {
        if (out.messages.size() != 1 || out.messages[0].role != "user")
            return invalid(
                "with 'session_id', 'messages' is the one new message of the user; the earlier "
                "ones and the system message come from the session",
                "messages");
        if (out.n != 1) return invalid("with 'session_id', 'n' must be 1", "n");
    }
    const Json* strict = given(body, "strict_params");
    if (strict && *strict->boolean() && !out.ignored.empty())
        return invalid("this field has no effect here, and 'strict_params' refuses such fields",
                       out.ignored.front());
    return {};
}

/// Types and ranges were checked by the table.
void read_plain(const Json& body, WireRequest& out) {
    const auto number = [&](std::string_view name, auto& field) {
        if (const Json* value = given(body, name))
            field = static_cast<std::decay_t<decltype(field)>>(value->number());
    };
    const auto flag = [&](std::string_view name, bool& field) {
        if (const Json* value = given(body, name)) field = *value->boolean();
    };
    if (const Json* model = given(body, "model")) out.model = *model->string();
    if (const Json* session = given(body, "session_id")) out.session_id = *session->string();
    if (const Json* mode = given(body, "truncation")) out.trims = *mode->string() == "auto";
    number("temperature", out.temperature);
    number("top_p", out.top_p);
    number("min_p", out.min_p);
    number("top_k", out.top_k);
    number("repetition_penalty", out.repetition_penalty);
    number("presence_penalty", out.presence_penalty);
    number("frequency_penalty", out.frequency_penalty);
    number("n", out.n);
    flag("stream", out.stream);
    flag("ignore_eos", out.ignore_eos);
    flag("echo", out.echo);
    int64_t seed = 0;
    if (const Json* value = given(body, "seed"); value && value->to_int64(seed))
        out.seed = static_cast<uint64_t>(seed);
    for (const auto* name : {"max_tokens", "max_completion_tokens"})
        if (const Json* value = given(body, name)) {
            const auto most = static_cast<uint32_t>(value->number());
            out.max_tokens = std::min(out.max_tokens.value_or(most), most);
        }
}

}  // namespace

Expected<WireRequest> read_request(const Json& body, Dialect dialect, const TextLimit& limit) {
    auto ignored = check_parameters(body, dialect);
    if (!ignored) return std::unexpected(ignored.error());
    WireRequest out;
    out.ignored = std::move(*ignored);
    read_plain(body, out);
    auto step = read_stream_options(body, out);
    if (step)
        step = dialect == Dialect::Chat ? read_messages(body, limit, out)
                                        : read_prompt(body, limit, out);
    if (step) step = read_stop(body, out);
    if (step) step = read_logit_bias(body, out);
    if (step) step = read_logprobs(body, dialect, out);
    if (step) step = check_together(body, out);
    if (!step) return std::unexpected(step.error());
    return out;
}

Expected<WireRequest> parse_request(std::string_view text, Dialect dialect,
                                    const TextLimit& limit) {
    const auto body = read_json(text);
    if (!body) return std::unexpected(body.error());
    return read_request(*body, dialect, limit);
}

Expected<void> check_answer_parameters(const Json& parameters) {
    if (!parameters.object()) return fail(Code::Invalid, "the parameters must be an object");
    for (const auto& [key, value] : *parameters.object())
        if (!is_answer_parameter(key))
            return invalid("'" + key + "' is no parameter that an answer is generated with", key);
    Json body = parameters;
    body.set("messages", Json::Array{Json::Object{{"role", "user"}, {"content", ""}}});
    const auto request = read_request(body, Dialect::Chat, {});
    if (!request) return std::unexpected(request.error());
    return {};
}

Json error_json(std::string_view message, std::string_view type, std::string_view param,
                std::string_view code) {
    Json error(Json::Object{});
    error.set("message", message)
        .set("type", type)
        .set("param", or_null(param))
        .set("code", or_null(code));
    return Json::Object{{"error", std::move(error)}};
}

Json usage_json(uint32_t prompt, uint32_t cached, uint32_t completion) {
    return Json::Object{
        {"prompt_tokens", prompt},
        {"completion_tokens", completion},
        {"total_tokens", uint64_t{prompt} + completion},
        {"prompt_tokens_details", Json::Object{{"cached_tokens", cached}}},
        {"completion_tokens_details", Json::Object{{"reasoning_tokens", 0},
                                                   {"accepted_prediction_tokens", 0},
                                                   {"rejected_prediction_tokens", 0}}}};
}

std::string lossy_utf8(std::string_view bytes) {
    std::string out;
    for (size_t i = 0; i < bytes.size();) {
        const auto lead = static_cast<unsigned char>(bytes[i]);
        const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        const auto piece = bytes.substr(i, length);
        // Boost.JSON's own check decides what is whole: one rule in the program.
        if (piece.size() == length && (length == 1 || read_json('"' + std::string(piece) + '"'))) {
            out += piece;
            i += length;
        } else {
            out += "\xEF\xBF\xBD";
            ++i;
        }
    }
    return out;
}

}  // namespace dunlin
