#include "net/fetch_status.h"

#include <array>
#include <charconv>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace dunlin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kAnswerBytesMax = 64 << 10;

/// Whether all of the text is a number from 1 to `most`; if so, `out` is set.
bool read_number(std::string_view text, unsigned most, unsigned& out) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc() && end == text.data() + text.size() && out > 0 && out <= most;
}

std::string text_of(const HttpPlace& place) {
    const bool v6 = place.host.find(':') != place.host.npos;
    return (v6 ? "[" + place.host + "]" : place.host) + ":" + std::to_string(place.port);
}

/// What stands in an answer that is complete: HTTP/1.0 is asked, so it ends where the server
/// closes.
Expected<StatusAnswer> read_answer(std::string_view text) {
    const size_t head = text.find("\r\n\r\n");
    unsigned status = 0;
    // "HTTP/1.1 200 OK"
    if (head == text.npos || !text.starts_with("HTTP/1.") || text.size() < 12 ||
        !read_number(text.substr(9, 3), 999, status))
        return fail(Code::Io, "what answers does not speak HTTP");
    return StatusAnswer{static_cast<int>(status), std::string(text.substr(head + 4))};
}

asio::awaitable<Expected<StatusAnswer>> ask(HttpPlace place, std::string target) {
    error_code ec;
    const auto address = asio::ip::make_address(place.host, ec);
    tcp::socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect({address, place.port},
                                  asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return fail(Code::Io, "cannot connect to " + text_of(place) + ": " + ec.message());

    const std::string request =
        "GET " + target + " HTTP/1.0\r\nHost: " + text_of(place) + "\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(request),
                               asio::redirect_error(asio::use_awaitable, ec));
    std::string answer;
    std::array<char, 4096> part{};
    while (!ec) {
        const size_t bytes = co_await socket.async_read_some(
            asio::buffer(part), asio::redirect_error(asio::use_awaitable, ec));
        answer.append(part.data(), bytes);
        if (answer.size() > kAnswerBytesMax)
            co_return fail(Code::TooLarge, "the answer of " + text_of(place) + " is too long");
    }
    if (ec != asio::error::eof)
        co_return fail(Code::Io, "no answer from " + text_of(place) + ": " + ec.message());
    co_return read_answer(answer);
}

}  // namespace

Expected<HttpPlace> parse_http_place(std::string_view url) {
    const auto wrong = [&] {
        return fail(Code::Invalid, "\"" + std::string(url) +
                                       "\" is not http://ADDRESS:PORT with an IP address or "
                                       "localhost");
    };
    constexpr std::string_view kScheme = "http://";
    if (!url.starts_with(kScheme)) return wrong();
    std::string_view rest = url.substr(kScheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);

    HttpPlace place;
    const size_t end = rest.starts_with('[') ? rest.find(']') : rest.find(':');
    if (rest.starts_with('[')) {
        if (end == rest.npos) return wrong();
        place.host = rest.substr(1, end - 1);
        rest.remove_prefix(end + 1);
    } else {
        place.host = rest.substr(0, end);
        rest.remove_prefix(place.host.size());
    }
    if (place.host == "localhost") place.host = "127.0.0.1";
    error_code ec;
    asio::ip::make_address(place.host, ec);
    unsigned port = place.port;
    if (ec || (!rest.empty() && (rest[0] != ':' || !read_number(rest.substr(1), 65535, port))))
        return wrong();
    place.port = static_cast<uint16_t>(port);
    return place;
}

Expected<StatusAnswer> fetch_status(const HttpPlace& place, std::string_view target,
                                    std::chrono::milliseconds timeout) {
    std::optional<Expected<StatusAnswer>> answer;
    asio::io_context io{1};
    // What is not done when the time is over ends with `io`.
    asio::co_spawn(
        io, ask(place, std::string(target)),
        [&](const std::exception_ptr&, Expected<StatusAnswer> got) { answer = std::move(got); });
    io.run_for(timeout);
    if (!answer)
        return fail(Code::DeadlineExceeded, "no answer from " + text_of(place) + " within " +
                                                std::to_string(timeout.count()) + " ms");
    return std::move(*answer);
}

}  // namespace dunlin
