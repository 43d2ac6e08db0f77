// Boost.Beast knows the grammar. Before it sees a header block, check_fields() and
// check_framing() have refused what would
// let a proxy in front of this server and this server see different requests in the same bytes
// (request smuggling): Beast, like most parsers, forgives some of that.
#include "net/request_parser.h"

#include <algorithm>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace dunlin {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

/// A chunk's size line or a trailer that is longer than this never ends.
constexpr size_t kUnreadMax = 8 << 10;

bool is_token_char(char c) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != kMarks.npos;
}

bool is_digits(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trim(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

struct RequestParser::Parts {
    explicit Parts(const Limits& given) : limits(given) {
        parser.header_limit(given.header_bytes_max + 1);
        parser.body_limit(given.body_bytes_max);
        parser.eager(true);
    }

    /// Always false, for the checks to return.
    bool refuse(int status, std::string why) {
        refusal = {status, std::move(why)};
        state = State::Refused;
        return false;
    }
    bool refuse(const error_code& ec);
    void scan(std::string& in);
    void read_header(std::string_view block);
    bool check_fields(std::string_view lines);
    bool check_framing();
    bool place_target();
    void read_body(std::string& in);

    const Limits limits;
    State state = State::Header;
    size_t scanned = 0;  // bytes of the header that were looked at
    http::request_parser<http::string_body> parser;
    HttpRequest request;
    Refusal refusal;
    bool wants_continue = false;
};

RequestParser::RequestParser(const Limits& limits) : parts_(std::make_unique<Parts>(limits)) {}
RequestParser::~RequestParser() = default;

/// Looks for the end of the header, and for bytes that no header may have.
void RequestParser::Parts::scan(std::string& in) {
    if (scanned == 0 && in == "\r") return;
    if (scanned == 0 && in.starts_with("\r\n")) in.erase(0, 2);  // some clients end a body so
    for (; scanned < in.size(); ++scanned) {
        const auto c = static_cast<unsigned char>(in[scanned]);
        const bool after_cr = scanned > 0 && in[scanned - 1] == '\r';
        if (scanned >= limits.header_bytes_max) {
            refuse(431, "the header is larger than " + std::to_string(limits.header_bytes_max) +
                            " bytes");
        } else if ((c == '\n') != after_cr) {
            refuse(400, "a line of the header does not end in CRLF");
        } else if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f) {
            refuse(400, "the header has a control character");
        } else if (c == '\n' && scanned >= 3 && in[scanned - 2] == '\n') {
            const std::string block = in.substr(0, scanned + 1);
            in.erase(0, scanned + 1);
            read_header(block);
        }
        if (state != State::Header) return;
    }
}

bool RequestParser::Parts::check_fields(std::string_view lines) {
    while (lines != "\r\n") {
        const std::string_view line = lines.substr(0, lines.find("\r\n"));
        lines.remove_prefix(line.size() + 2);
        if (request.headers.size() >= limits.fields_max)
            return refuse(
                431, "there are more than " + std::to_string(limits.fields_max) + " header fields");
        const auto name = line.substr(0, line.find(':'));
        if (name.size() == line.size() || name.empty() ||
            !std::all_of(name.begin(), name.end(), is_token_char))
            return refuse(400, "a header field is not of the form 'name: value'");
        request.headers.emplace_back(lower_case(name), trim(line.substr(name.size() + 1)));
    }
    return true;
}

bool RequestParser::Parts::check_framing() {
    const auto count = [&](std::string_view name) {
        return std::count_if(request.headers.begin(), request.headers.end(),
                             [&](const auto& field) { return field.first == name; });
    };
    const auto lengths = count("content-length"), codings = count("transfer-encoding");
    const bool old = parser.get().version() < 11;
    if (lengths + codings > 1) return refuse(400, "the length of the body is given more than once");
    if (lengths == 1 && !is_digits(request.header("content-length")))
        return refuse(400, "Content-Length is not a number");
    if (codings == 1 && lower_case(request.header("transfer-encoding")) != "chunked")
        return refuse(400, "the only Transfer-Encoding that is understood is chunked");
    if (codings == 1 && old) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (count("host") > 1 || (count("host") == 0 && !old))
        return refuse(400, "a request needs exactly one Host");
    const std::string expect = lower_case(request.header("expect"));
    if (!expect.empty() && !old && expect != "100-continue")
        return refuse(417, "the only Expect that is understood is 100-continue");
    wants_continue = expect == "100-continue" && !old;
    return true;
}

/// Clients of a proxy send "http://host/path"; that host then counts, not the field's.
bool RequestParser::Parts::place_target() {
    std::string& target = request.target;
    const auto scheme = lower_case(target.substr(0, 8));
    const size_t skip = scheme.starts_with("http://") ? 7 : scheme == "https://" ? 8 : 0;
    if (skip > 0) {
        const auto end = std::min(target.find_first_of("/?", skip), target.size());
        for (auto& [name, value] : request.headers)
            if (name == "host") value = target.substr(skip, end - skip);
        target.erase(0, end);
        if (!target.starts_with('/')) target.insert(0, "/");
    }
    if (target.starts_with('/') || (target == "*" && request.method == "OPTIONS")) return true;
    return refuse(400, "the request's target must be a path");
}

void RequestParser::Parts::read_header(std::string_view block) {
    const auto line = block.substr(0, block.find("\r\n") + 2);
    const auto rest = block.substr(line.size());
    error_code ec;
    parser.put({line.data(), line.size()}, ec);
    if (ec && ec != http::error::need_more) {
        refuse(ec);
        return;
    }
    request.method = std::string(parser.get().method_string());
    request.target = std::string(parser.get().target());
    if (!check_fields(rest) || !check_framing() || !place_target()) return;
    parser.put({rest.data(), rest.size()}, ec);
    if (ec)
        refuse(ec);
    else
        state = parser.is_done() ? State::Done : State::Body;
}

bool RequestParser::Parts::refuse(const error_code& ec) {
    if (ec == http::error::body_limit)
        return refuse(
            413, "the body is larger than " + std::to_string(limits.body_bytes_max) + " bytes");
    if (ec == http::error::header_limit) return refuse(431, "the trailer is too large");
    return refuse(400, "this is not HTTP/1.1: " + ec.message());
}

void RequestParser::Parts::read_body(std::string& in) {
    size_t used = 0;
    error_code ec;
    while (!parser.is_done() && used < in.size() && !ec)
        used += parser.put({in.data() + used, in.size() - used}, ec);
    in.erase(0, used);
    if (ec && ec != http::error::need_more) {
        refuse(ec);
    } else if (parser.is_done()) {
        request.body = std::move(parser.get().body());
        state = State::Done;
    } else if (in.size() > kUnreadMax) {
        refuse(400, "a chunk's size line is too long");
    }
}

RequestParser::State RequestParser::take(std::string& in) {
    if (parts_->state == State::Header) parts_->scan(in);
    if (parts_->state == State::Body && !in.empty()) parts_->read_body(in);
    return parts_->state;
}

HttpRequest& RequestParser::request() {
    return parts_->request;
}
const Refusal& RequestParser::refusal() const {
    return parts_->refusal;
}
bool RequestParser::keep_alive() const {
    return parts_->parser.get().keep_alive();
}
bool RequestParser::http_1_0() const {
    return parts_->parser.get().version() < 11;
}
bool RequestParser::wants_continue() const {
    return parts_->wants_continue;
}

}  // namespace dunlin
