#include "sessions/session.h"

namespace dunlin {

std::string_view to_string(MessageStatus status) {
    switch (status) {
        case MessageStatus::Complete:
            return "complete";
        case MessageStatus::Writing:
            return "writing";
        case MessageStatus::Interrupted:
            return "interrupted";
        case MessageStatus::Cancelled:
            return "cancelled";
        case MessageStatus::Failed:
            return "failed";
    }
    return "failed";
}

std::optional<MessageStatus> message_status(std::string_view name) {
    for (const auto status :
         {MessageStatus::Complete, MessageStatus::Writing, MessageStatus::Interrupted,
          MessageStatus::Cancelled, MessageStatus::Failed})
        if (to_string(status) == name) return status;
    return std::nullopt;
}

}  // namespace dunlin
