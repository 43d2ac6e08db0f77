#pragma once

// The messages of docs/formats/websocket.md, between JSON and what the socket works with.

#include <cstdint>
#include <optional>
#include <string>

#include "api/context.h"
#include "chat/turns.h"
#include "json/json.h"

namespace dunlin {

/// One message of a client, its frame checked.
struct ChatMessage {
    std::string type, id;  // id: empty where there is none
    Json body;
};
/// Errors: Invalid with the field.
Expected<ChatMessage> read_chat_message(std::string_view text);

/// The member `name` as a text. Errors: Invalid where it is none, or missing though `needed`.
Expected<std::string> text_member(const Json& body, std::string_view name, bool needed);

/// What `chat`, `regenerate` or `edit` asks for. Looks the session up: on a worker.
/// Errors: Invalid, NotFound, ModelNotFound.
Expected<TurnRequest> chat_turn(ApiContext& api, const Caller& caller, const ChatMessage& message);

/// What the server says. `session` empty means null.
std::string plain_message(std::string_view type, std::string_view id);
std::string error_message(const Error& error, std::string_view id, std::string_view session,
                          std::optional<uint64_t> seq);
/// The message for the event numbered `seq`; empty for one that needs none.
struct EventView {
    const Turn& turn;
    std::string_view id;
    uint64_t seq;
    bool resumed;
    bool started;  // `start` was sent: the question is stored
    End end;       // of the Finished before a Done
    std::optional<int64_t> eta_ms;
};
std::string event_message(const EventView& view, const Event& event);

}  // namespace dunlin
