#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sessions/rows.h"

namespace dunlin {

/// What sessions.json holds. docs/formats/sessions.md describes both forms.
struct SessionsFile {
    Rows rows;                 // last_change counts from 1 in the order of the file
    bool is_versioned = true;  // false: the plain form {id: [{role, content}, ...]}
};

inline constexpr size_t kSessionsFileBytesMax = size_t{256} << 20;

/// Reads both forms. Sessions of the plain form belong to nobody, were made at `now_unix_s`, and
/// get ids for their messages. Every field is checked, and unknown ones are refused, so that what
/// is written later has lost nothing. Errors: Corrupt, with the session and the field; Unsupported
/// for a newer version; TooLarge; Io.
Expected<SessionsFile> read_sessions(std::string_view text, int64_t now_unix_s);

/// The versioned form, a line for each session and message, the last used session at the end.
/// Errors: Corrupt where a session's parameters are no JSON. REQUIRES: all texts are UTF-8.
Expected<std::string> write_sessions(const Rows& rows);

}  // namespace dunlin
