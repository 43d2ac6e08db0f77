// Reading one request within its limits. A request begins with its first byte: from then on it ends
// in exactly one call of `served`, also where it is refused or its client leaves.
#include <algorithm>
#include <array>
#include <random>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/connection.h"
#include "net/response_text.h"

namespace dunlin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 64 << 10;
constexpr uint32_t kFullTimeoutS = 2;
constexpr uint64_t kBodyBytesPerSecond = 1024;  // slower clients hold a connection for nothing

std::string new_request_id() {
    static thread_local std::mt19937_64 draw{std::random_device{}()};
    std::string id = "req-";
    const uint64_t number = draw();
    for (int shift = 60; shift >= 0; shift -= 4) id += "0123456789abcdef"[number >> shift & 15];
    return id;
}

/// A name from the client is kept if it is harmless in a log and a header.
bool usable_id(std::string_view id) {
    return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_' || c == '.';
    });
}

}  // namespace

asio::awaitable<bool> Connection::read_more(TimePoint until) {
    const size_t before = in_.size();
    in_.resize(before + kReadBytes);
    error_code ec;
    set_deadline(until);
    const size_t bytes =
        co_await socket_.async_read_some(asio::buffer(in_.data() + before, kReadBytes),
                                         asio::redirect_error(asio::use_awaitable, ec));
    set_deadline(TimePoint::max());
    in_.resize(before + bytes);
    co_return bytes > 0 && !closed_;
}

void Connection::complete(HttpRequest& request) {
    const auto given = request.header("x-request-id");
    request.id = usable_id(given) ? std::string(given) : new_request_id();
    request.peer = peer_;
}

asio::awaitable<void> Connection::refuse(HttpRequest& request, const Refusal& refusal,
                                         TimePoint begin) {
    complete(request);
    keep_ = false;
    Served served{.request = request, .route = "none", .gone = true};
    if (!closed_) {
        HttpResponse response = net_->handlers.refuse(request, refusal.status, refusal.why);
        served.gone = !co_await send(response, {}, begin, served);
    }
    if (served.gone) served.status = 499;
    served.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    net_->handlers.served(served);
    co_await linger();
    close();
}

/// Closing with unread input makes the kernel drop what was sent last: says that no more comes, and
/// takes what is still coming, for a second at most.
asio::awaitable<void> Connection::linger() {
    if (closed_) co_return;
    error_code ec;
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    const auto until = SteadyClock::now() + seconds(1);
    late_ = false;
    for (int i = 0; i < 64 && !late_; ++i) {
        in_.clear();
        const bool more = co_await read_more(until);
        if (!more) break;
    }
}

asio::awaitable<std::optional<HttpRequest>> Connection::read() {
    using State = RequestParser::State;
    const NetSettings& settings = net_->settings;
    if (in_.empty()) {  // between requests: a long wait without a fault
        const auto patience = seconds(full_ ? kFullTimeoutS : settings.idle_timeout_s);
        const bool more = co_await read_more(SteadyClock::now() + patience);
        if (!more) co_return std::nullopt;
    }
    set_busy(true);
    const auto begin = SteadyClock::now();
    RequestParser parser({settings.header_bytes_max, settings.fields_max, settings.body_bytes_max});
    uint64_t body_bytes = 0;
    bool continued = false;
    State state = parser.take(in_);
    if (full_) {
        const Refusal busy{503, "the server has as many connections as it takes; try again"};
        co_await refuse(parser.request(), busy, begin);
        co_return std::nullopt;
    }
    while (state == State::Header || state == State::Body) {
        if (state == State::Body && parser.wants_continue() && !std::exchange(continued, true))
            co_await write("HTTP/1.1 100 Continue\r\n\r\n");
        const auto allowed = seconds(settings.request_timeout_s + body_bytes / kBodyBytesPerSecond);
        const size_t unread = in_.size();
        const bool more = co_await read_more(begin + allowed);
        if (!more) {
            if (!late_) close();
            co_await refuse(parser.request(), {408, "the request did not come in time"}, begin);
            co_return std::nullopt;
        }
        if (state == State::Body) body_bytes += in_.size() - unread;
        state = parser.take(in_);
    }
    if (state == State::Refused) {
        co_await refuse(parser.request(), parser.refusal(), begin);
        co_return std::nullopt;
    }
    http_1_0_ = parser.http_1_0();
    keep_ = parser.keep_alive();
    complete(parser.request());
    co_return std::move(parser.request());
}

}  // namespace dunlin
