#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace dunlin {

/// What went wrong, as far as a caller can act on it. HTTP status codes are decided from these in
/// one table in `api`; nothing below `api` knows a status code.
enum class Code : uint8_t {
    Invalid,           // the request or file says something that is not allowed
    TooLong,           // a prompt that the model's context can never hold
    TextTooLong,       // one text above the characters it may have
    TooLarge,          // a size above a limit of the server
    NotFound,          // no such thing (route, file, session)
    Conflict,          // not while something else is under way
    ModelNotFound,     // a model that is not listed
    Unauthorized,      // no key, or an unknown one
    Forbidden,         // a key without the right
    RateLimited,       // the caller's own share is used up
    Overloaded,        // the server's queue is full
    NotReady,          // loading or draining; try again later
    DeadlineExceeded,  // the caller's time ran out
    Cancelled,         // ended by the caller
    NoRoom,            // memory for the sequence is not free now
    OutOfMemory,       // the machine refuses more memory
    DeviceLost,        // the accelerator or child process is gone
    Corrupt,           // a file that breaks its own format
    Io,                // the operating system refused to read or write
    DiskFull,          // no space to write, or a quota is used up
    Unsupported,       // valid, but this build or model cannot do it
    Internal,          // a bug caught at a border
};

/// An expected failure: a code to act on and a sentence that says what happened and what to do.
/// `param` names the offending field or key where there is one ("messages[0].role").
struct Error {
    Code code = Code::Internal;
    std::string message;
    std::string param = {};
    int64_t retry_ms = 0;  // when the same may succeed, where that is known; 0: it is not
};

template <class T>
using Expected = std::expected<T, Error>;

/// `return fail(Code::Io, "cannot open " + path);` in any function that returns Expected<T>.
[[nodiscard]] inline std::unexpected<Error> fail(Code code, std::string message,
                                                 std::string param = {}) {
    return std::unexpected(Error{code, std::move(message), std::move(param)});
}

/// The code's name in snake_case, as logs and metrics show it ("deadline_exceeded").
std::string_view to_string(Code code);

}  // namespace dunlin
