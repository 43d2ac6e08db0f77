#include "base/error.h"

namespace dunlin {

std::string_view to_string(Code code) {
    switch (code) {
        case Code::Invalid:
            return "invalid";
        case Code::TooLong:
            return "too_long";
        case Code::TextTooLong:
            return "text_too_long";
        case Code::TooLarge:
            return "too_large";
        case Code::NotFound:
            return "not_found";
        case Code::Conflict:
            return "conflict";
        case Code::ModelNotFound:
            return "model_not_found";
        case Code::Unauthorized:
            return "unauthorized";
        case Code::Forbidden:
            return "forbidden";
        case Code::RateLimited:
            return "rate_limited";
        case Code::Overloaded:
            return "overloaded";
        case Code::NotReady:
            return "not_ready";
        case Code::DeadlineExceeded:
            return "deadline_exceeded";
        case Code::Cancelled:
            return "cancelled";
        case Code::NoRoom:
            return "no_room";
        case Code::OutOfMemory:
            return "out_of_memory";
        case Code::DeviceLost:
            return "device_lost";
        case Code::Corrupt:
            return "corrupt";
        case Code::Io:
            return "io";
        case Code::DiskFull:
            return "disk_full";
        case Code::Unsupported:
            return "unsupported";
        case Code::Internal:
            return "internal";
    }
    return "internal";
}

}  // namespace dunlin
