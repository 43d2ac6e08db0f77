#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace dunlin {

/// How the end of a response's body is known.
enum class Framing { Length, Chunked, UntilClose };

/// Status line and header fields, the empty line included. `defaults` are added where the response
/// has no such field. Fields whose value would break a line are left out.
std::string response_head(const HttpResponse& response, const HttpHeaders& defaults,
                          Framing framing, bool keep_alive);

/// One chunk of the chunked coding. An empty text gives nothing: it would end the body.
std::string chunk_text(std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace dunlin
