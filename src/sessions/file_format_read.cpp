#include <algorithm>
#include <set>

#include "base/checked.h"
#include "json/json.h"
#include "sessions/file_format.h"
#include "sessions/plain_text.h"
#include "sessions/random_id.h"

namespace dunlin {
namespace {

constexpr size_t kIdBytesMax = 256;
// A value of a file of the largest size has ten bytes or more.
constexpr JsonLimits kLimits{
    .bytes_max = kSessionsFileBytesMax, .depth_max = 64, .values_max = kSessionsFileBytesMax / 10};

/// Reads the members of one object; the first that is wrong is remembered.
class Members {
 public:
    /// `where` is "session 3, message 2".
    Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
        if (object.object() == nullptr) complain("must be an object");
    }

    void complain(const std::string& what) {
        if (wrong_.empty()) wrong_ = where_ + " " + what;
    }
    const Json* find(const char* name) {
        known_.insert(name);
        return object_.find(name);
    }
    std::string text(const char* name, size_t bytes_max = kSessionsFileBytesMax) {
        const Json* const value = find(name);
        if (value == nullptr || value->is_null()) return {};
        const std::string* const out = value->string();
        if (out == nullptr || out->size() > bytes_max) {
            complain(std::string("has no text of at most ") + std::to_string(bytes_max) +
                     " bytes as its '" + name + "'");
            return {};
        }
        return *out;
    }
    std::string id(const char* name) {
        std::string out = text(name, kIdBytesMax);
        if (out.empty()) complain(std::string("has no '") + name + "'");
        return out;
    }
    template <class T>
    T number(const char* name) {
        const Json* const value = find(name);
        int64_t out = 0;
        if (value == nullptr) return 0;
        if (!value->to_int64(out) || out < 0 || !checked_cast<T>(out)) {
            complain(std::string("has no whole number that fits as its '") + name + "'");
            return 0;
        }
        return static_cast<T>(out);
    }
    /// What is wrong, unknown members too.
    Expected<void> end() {
        if (object_.object() != nullptr)
            for (const auto& [key, value] : *object_.object())
                if (!known_.contains(key))
                    complain("has a field '" + key + "', which is not known");
        if (wrong_.empty()) return {};
        return fail(Code::Corrupt, wrong_);
    }

 private:
    const Json& object_;
    std::string where_, wrong_;
    std::set<std::string_view> known_;
};

bool is_role(std::string_view role) {
    return role == "user" || role == "assistant";
}

Expected<StoredMessage> read_message(const Json& json, const std::string& where,
                                     const std::set<std::string>& earlier) {
    Members members(json, where);
    StoredMessage out;
    out.id = members.id("id");
    out.parent = members.text("parent", kIdBytesMax);
    out.role = members.text("role");
    out.content = members.text("content");
    out.model = members.text("model");
    out.finish_reason = members.text("finish_reason");
    out.prompt_tokens = members.number<uint32_t>("prompt_tokens");
    out.completion_tokens = members.number<uint32_t>("completion_tokens");
    out.created_unix_s = members.number<int64_t>("created");
    const std::string status = members.text("status");
    if (!is_role(out.role)) members.complain("must have the role user or assistant");
    if (earlier.contains(out.id)) members.complain("has the id of an earlier one");
    if (!out.parent.empty() && !earlier.contains(out.parent))
        members.complain("has a parent that is no earlier message");
    if (const auto known = message_status(status.empty() ? "complete" : status))
        out.status = *known;
    else
        members.complain("has the status \"" + status + "\", which there is not");
    if (auto ended = members.end(); !ended) return std::unexpected(ended.error());
    return out;
}

Expected<void> read_parameters(Members& members, Session& session) {
    const Json* const parameters = members.find("parameters");
    if (parameters == nullptr) return {};
    auto text = write_json(*parameters);
    if (!text) return std::unexpected(text.error());
    if (parameters->object() == nullptr) members.complain("has 'parameters' that are no object");
    session.parameters = std::move(*text);
    return {};
}

void add_message(SessionRows& to, StoredMessage message) {
    to.session.messages += 1;
    to.session.bytes += message.content.size();
    to.messages.push_back(std::make_shared<const StoredMessage>(std::move(message)));
}

Expected<SessionRows> read_session(const Json& json, const std::string& where) {
    Members members(json, where);
    SessionRows out;
    Session& session = out.session;
    session.id = members.id("id");
    session.owner = members.text("owner");
    session.title = one_line(members.text("title"));
    session.model = members.text("model");
    session.system = members.text("system");
    session.head = members.text("head", kIdBytesMax);
    session.created_unix_s = members.number<int64_t>("created");
    session.updated_unix_s = members.number<int64_t>("updated");
    if (auto read = read_parameters(members, session); !read) return std::unexpected(read.error());
    const Json* const messages = members.find("messages");
    if (messages == nullptr || messages->array() == nullptr)
        members.complain("has no list of 'messages'");
    if (auto ended = members.end(); !ended) return std::unexpected(ended.error());
    std::set<std::string> ids;
    for (const Json& one : *messages->array()) {
        auto message =
            read_message(one, where + ", message " + std::to_string(ids.size() + 1), ids);
        if (!message) return std::unexpected(message.error());
        ids.insert(message->id);
        add_message(out, std::move(*message));
    }
    if (!session.head.empty() && !ids.contains(session.head))
        return fail(Code::Corrupt, where + " has a head that is none of its messages");
    return out;
}

/// {role, content} of the plain form, in a row.
Expected<SessionRows> read_plain_session(const std::string& id, const Json::Array& messages,
                                         int64_t now_unix_s) {
    SessionRows out;
    Session& session = out.session;
    const std::string where = "session \"" + id.substr(0, 64) + "\"";
    if (id.empty() || id.size() > kIdBytesMax)
        return fail(Code::Corrupt, where + " must have an id of 1 to 256 bytes");
    session.id = id;
    session.created_unix_s = session.updated_unix_s = now_unix_s;
    for (size_t i = 0; i < messages.size(); ++i) {
        Members members(messages[i], where + ", message " + std::to_string(i + 1));
        StoredMessage message;
        message.role = members.text("role");
        message.content = members.text("content");
        const bool is_system = message.role == "system";
        if (!is_system && !is_role(message.role))
            members.complain("must have the role system, user or assistant");
        if (auto ended = members.end(); !ended) return std::unexpected(ended.error());
        if (is_system) {
            session.system += (session.system.empty() ? "" : "\n\n") + message.content;
            continue;
        }
        auto new_id = random_id("msg_");
        if (!new_id) return std::unexpected(new_id.error());
        message.id = std::move(*new_id);
        message.parent = session.head;
        message.created_unix_s = now_unix_s;
        if (session.title.empty() && message.role == "user")
            session.title = title_from(message.content);
        session.head = message.id;
        add_message(out, std::move(message));
    }
    return out;
}

Expected<void> add_session(Expected<SessionRows> one, Rows& rows) {
    if (!one) return std::unexpected(one.error());
    one->session.last_change = std::ssize(rows) + 1;
    const std::string id = one->session.id;
    if (!rows.emplace(id, std::make_shared<const SessionRows>(std::move(*one))).second)
        return fail(Code::Corrupt, "the session \"" + id + "\" stands there twice");
    return {};
}

Expected<SessionsFile> read_versioned(const Json& json) {
    SessionsFile out;
    int64_t version = 0;
    const Json* const number = json.find("version");
    const Json* const sessions = json.find("sessions");
    if (number != nullptr && number->to_int64(version) && version > 1)
        return fail(Code::Unsupported, "it has version " + std::to_string(version) +
                                           ", which a newer Dunlin wrote; this one knows 1");
    Members members(json, "the file");
    members.find("format");
    if (version != 1) members.complain("has no version");
    members.find("version");
    members.find("sessions");
    if (sessions == nullptr || sessions->array() == nullptr)
        members.complain("has no list of 'sessions'");
    if (auto ended = members.end(); !ended) return std::unexpected(ended.error());
    for (const Json& one : *sessions->array())
        if (auto added = add_session(
                read_session(one, "session " + std::to_string(out.rows.size() + 1)), out.rows);
            !added)
            return std::unexpected(added.error());
    return out;
}

}  // namespace

Expected<SessionsFile> read_sessions(std::string_view text, int64_t now_unix_s) {
    const auto json = read_json(text, kLimits);
    if (!json && json.error().code == Code::TooLarge) return std::unexpected(json.error());
    if (!json) return fail(Code::Corrupt, json.error().message);
    if (json->object() == nullptr) return fail(Code::Corrupt, "it holds no object");
    const Json* const format = json->find("format");
    if (format != nullptr && format->string() != nullptr) {
        if (*format->string() == "dunlin.sessions") return read_versioned(*json);
        return fail(Code::Corrupt, "it has a format of another program");
    }
    SessionsFile out;
    out.is_versioned = false;
    for (const auto& [id, messages] : *json->object()) {
        if (messages.array() == nullptr)
            return fail(Code::Corrupt,
                        "session \"" + id.substr(0, 64) + "\" must be a list of messages");
        if (auto added =
                add_session(read_plain_session(id, *messages.array(), now_unix_s), out.rows);
            !added)
            return std::unexpected(added.error());
    }
    return out;
}

}  // namespace dunlin
