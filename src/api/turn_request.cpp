#include "api/turn_request.h"

#include <algorithm>
#include <cstdio>

namespace dunlin {
namespace {

/// All but the prompt.
Request engine_request(const WireRequest& wire, uint32_t tokens_max) {
    Request out;
    out.sampling = {.temperature = static_cast<float>(wire.temperature),
                    .top_k = wire.top_k,
                    .top_p = static_cast<float>(wire.top_p),
                    .min_p = static_cast<float>(wire.min_p),
                    .repetition_penalty = static_cast<float>(wire.repetition_penalty),
                    .presence_penalty = static_cast<float>(wire.presence_penalty),
                    .frequency_penalty = static_cast<float>(wire.frequency_penalty),
                    .logit_bias = wire.logit_bias,
                    .seed = wire.seed};
    out.choices = wire.n;
    // Absent means the limit or what the context leaves; the engine knows the latter.
    out.max_tokens = wire.max_tokens;
    if (tokens_max > 0) out.max_tokens = std::min(out.max_tokens.value_or(tokens_max), tokens_max);
    out.stop = wire.stop;
    out.ignore_eos = wire.ignore_eos;
    out.logprobs = wire.logprobs;
    return out;
}

/// Adds to `body`, an object, what only a session's `parameters` name (a JSON object, or empty).
void add_parameters(std::string_view parameters, Json& body) {
    if (parameters.empty()) return;
    const auto defaults = read_json(parameters);
    if (!defaults || !defaults->object()) return;
    for (const auto& [key, value] : *defaults->object())
        if (!body.find(key)) body.set(key, value);
}

Expected<TurnRequest> plain_request(const ApiContext& api, const Caller& caller,
                                    const WireRequest& wire) {
    auto model = api.registry.resolve(wire.model);
    if (!model) return std::unexpected(model.error());
    TurnRequest out;
    out.owner = caller.owner;
    out.model = std::move(*model);
    out.may_trim = wire.trims;
    out.truncated_characters = wire.truncated_characters;
    const Request plain = engine_request(wire, api.settings.response_tokens_max);
    if (wire.prompts.empty()) {
        std::vector<Message> messages;
        for (const auto& one : wire.messages) messages.push_back({one.role, one.content});
        out.requests.push_back(plain);
        out.requests.back().prompt = std::move(messages);
    }
    for (const WirePrompt& prompt : wire.prompts) {
        out.requests.push_back(plain);
        std::visit([&](const auto& one) { out.requests.back().prompt = one; }, prompt);
    }
    return out;
}

}  // namespace

Expected<TurnRequest> turn_request(const ApiContext& api, const Caller& caller, Json body,
                                   Dialect dialect, std::optional<TurnPlace> place,
                                   WireRequest& wire) {
    Session session;
    if (place && !place->session.empty()) {
        auto found = api.sessions.find(caller.owner, place->session);
        if (!found) return fail(found.error().code, found.error().message, "session_id");
        session = std::move(*found);
    }
    if (body.object()) add_parameters(session.parameters, body);
    const TextLimit limit{api.settings.prompt_characters_max, api.settings.overlong};
    auto read = read_request(body, dialect, limit);
    if (!read) return std::unexpected(read.error());
    wire = std::move(*read);
    if (wire.model.empty()) wire.model = session.model;
    auto request = plain_request(api, caller, wire);
    if (!request || !place) return request;
    auto& messages = std::get<std::vector<Message>>(request->requests.front().prompt);
    if (place->what != TurnPlace::What::Regenerate)
        place->text = std::move(messages.front().content);
    request->place = std::move(place);
    return request;
}

std::string fingerprint(uint64_t arithmetic) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "dunlin-%llx",
                  static_cast<unsigned long long>(arithmetic));
    return digits;
}

}  // namespace dunlin
