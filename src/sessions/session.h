#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A conversation that the server keeps. Its messages form a tree; `head` is the last message of
/// the branch that is shown, the others stay reachable.
struct Session {
    std::string id;          // "sess_" and 24 hexadecimal digits
    std::string owner;       // who made it; everybody else is told that there is no such session
    std::string title;       // one line; from the first question where nobody gave one
    std::string model;       // empty: the default one
    std::string system;      // the system message; empty: none
    std::string parameters;  // sampling parameters as a JSON object; empty: none
    std::string head;        // a message's id; empty: before the first
    int64_t created_unix_s = 0, updated_unix_s = 0;
    int64_t last_change = 0;  // grows with every change of any session: the order of their use
    uint32_t messages = 0;    // of all branches
    uint64_t bytes = 0;       // of all contents
};

enum class MessageStatus : uint8_t {
    Complete,
    Writing,      // an answer under way
    Interrupted,  // the process ended while it was written
    Cancelled,    // ended by its reader, or because nobody was left to read
    Failed,
};
std::string_view to_string(MessageStatus status);  // "complete", "writing", ...
std::optional<MessageStatus> message_status(std::string_view name);

struct StoredMessage {
    std::string id;             // "msg_" and 24 hexadecimal digits
    std::string parent;         // the message before it; empty: none
    std::string role;           // "user" or "assistant"
    std::string content;        // UTF-8
    std::string model;          // of answers
    std::string finish_reason;  // of answers that ended: "stop", "length", "cancelled"
    MessageStatus status = MessageStatus::Complete;
    uint32_t prompt_tokens = 0, completion_tokens = 0;
    int64_t created_unix_s = 0;
};

/// A message as history shows it.
struct ShownMessage {
    StoredMessage message;
    std::vector<std::string>
        siblings;  // ids with the same parent, oldest first, its own among them
};

}  // namespace dunlin
