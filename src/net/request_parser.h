#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/http.h"

namespace dunlin {

/// Why a request was refused before anyone saw it.
struct Refusal {
    int status = 400;
    std::string why;
};

/// Reads one HTTP/1.1 request from bytes as they come: no I/O and no clock, and the same result
/// however the bytes are split. Stricter than RFC 9112 asks wherever two parsers could disagree
/// about where a request ends: bare line ends, folded fields, a length given twice or beside a
/// transfer coding, a coding other than chunked are all refused.
class RequestParser {
 public:
    struct Limits {
        uint32_t header_bytes_max = 32 << 10;
        uint32_t fields_max = 100;
        uint64_t body_bytes_max = uint64_t{16} << 20;
    };
    enum class State : uint8_t { Header, Body, Done, Refused };

    explicit RequestParser(const Limits& limits);
    ~RequestParser();

    /// Takes what belongs to the request from the front of `in` and leaves the rest. Call again
    /// with more while the state is Header or Body.
    State take(std::string& in);

    /// Header fields are there from Body on, the body once Done. `id` and `peer` stay empty.
    HttpRequest& request();
    const Refusal& refusal() const;
    bool keep_alive() const;
    bool http_1_0() const;
    /// Whether the client waits for 100 Continue before it sends the body.
    bool wants_continue() const;

 private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
