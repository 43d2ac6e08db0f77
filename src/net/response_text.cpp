#include "net/response_text.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace dunlin {
namespace {

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 204:
            return "No Content";
        case 304:
            return "Not Modified";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 507:
            return "Insufficient Storage";
        default:
            return "";  // the phrase may be empty; clients look at the number
    }
}

void add_field(std::string& head, std::string_view name, std::string_view value) {
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) return;
    head.append(name).append(": ").append(value).append("\r\n");
}

std::string http_date() {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    char text[40];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

bool same_name(std::string_view a, std::string_view b) {
    return lower_case(a) == lower_case(b);
}

}  // namespace

std::string response_head(const HttpResponse& response, const HttpHeaders& defaults,
                          Framing framing, bool keep_alive) {
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
    head.append(reason_phrase(response.status)).append("\r\n");
    add_field(head, "Date", http_date());
    for (const auto& [name, value] : response.headers) add_field(head, name, value);
    for (const auto& [name, value] : defaults)
        if (std::none_of(response.headers.begin(), response.headers.end(),
                         [&](const auto& field) { return same_name(field.first, name); }))
            add_field(head, name, value);
    if (framing == Framing::Chunked)
        add_field(head, "Transfer-Encoding", "chunked");
    else if (framing == Framing::Length && response.status != 204)
        add_field(head, "Content-Length", std::to_string(response.body.size()));
    add_field(head, "Connection", keep_alive ? "keep-alive" : "close");
    return head + "\r\n";
}

std::string chunk_text(std::string_view bytes) {
    if (bytes.empty()) return {};
    char size[16];
    std::string out(size, std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr);
    return out.append("\r\n").append(bytes).append("\r\n");
}

}  // namespace dunlin
