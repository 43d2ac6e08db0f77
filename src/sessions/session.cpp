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

}  // namespace dunlin
