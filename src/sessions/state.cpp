#include "sessions/state.h"

#include <limits>

#include "json/json.h"
#include "sessions/plain_text.h"

namespace dunlin {
namespace {

constexpr size_t kTitleBytesMax = 1024;
constexpr size_t kModelBytesMax = 256;
constexpr size_t kParametersBytesMax = size_t{64} << 10;
// They are stored inside other JSON, which has its own limit of depth.
constexpr JsonLimits kParametersLimits{.bytes_max = kParametersBytesMax, .depth_max = 8};

Expected<void> check_text(std::string_view text, const char* field, uint64_t bytes_max) {
    if (!is_utf8(text))
        return fail(Code::Invalid, "'" + std::string(field) + "' is not UTF-8", field);
    if (text.size() > bytes_max)
        return fail(Code::Invalid,
                    "'" + std::string(field) + "' has " + std::to_string(text.size()) + " bytes; " +
                        std::to_string(bytes_max) + " are the limit",
                    field);
    return {};
}

}  // namespace

Expected<void> set_fields(Session& session, const SessionFields& fields,
                          const SessionLimits& limits) {
    struct Field {
        const char* name;
        const std::optional<std::string>& given;
        std::string& to;
        uint64_t bytes_max;
    };
    const Field all[] = {
        {"title", fields.title, session.title, kTitleBytesMax},
        {"model", fields.model, session.model, kModelBytesMax},
        {"system", fields.system, session.system, limits.session_bytes_max},
        {"parameters", fields.parameters, session.parameters, kParametersBytesMax},
    };
    for (const Field& field : all)
        if (field.given)
            if (auto checked = check_text(*field.given, field.name, field.bytes_max); !checked)
                return checked;
    if (fields.parameters && !fields.parameters->empty()) {
        const auto json = read_json(*fields.parameters, kParametersLimits);
        if (!json || json->object() == nullptr)
            return fail(Code::Invalid, "'parameters' must be a JSON object", "parameters");
    }
    for (const Field& field : all)
        if (field.given) field.to = *field.given;
    session.title = one_line(session.title);
    return {};
}

std::unexpected<Error> no_such_session() {
    return fail(Code::NotFound, "there is no such session");
}

std::unexpected<Error> no_such_message(std::string param) {
    return fail(Code::NotFound, "there is no such message in this session", std::move(param));
}

Expected<Session> Sessions::State::owned(std::string_view owner, std::string_view id) const {
    auto session = store->session(id);
    if (!session) return std::unexpected(session.error());
    if (!*session || (*session)->owner != owner) return no_such_session();
    if ((*session)->updated_unix_s < alive_from_unix_s()) return no_such_session();
    return std::move(**session);
}

Expected<MessageTree> Sessions::State::tree(const Session& session) const {
    auto links = store->links(session.id);
    if (!links) return std::unexpected(links.error());
    return MessageTree(std::move(*links));
}

int64_t Sessions::State::alive_from_unix_s() const {
    return limits.ttl_s == 0 ? std::numeric_limits<int64_t>::min() : clock.unix_s() - limits.ttl_s;
}

void Sessions::State::touch(Session& session) {
    session.updated_unix_s = clock.unix_s();
    session.last_change = ++last_change;
}

Expected<void> Sessions::State::store_session(const Session& session) {
    StoreChanges changes;
    changes.sessions.push_back(session);
    return store->apply(changes);
}

}  // namespace dunlin
