// Writing one answer. A body that is made while it is sent is asked for more only when the socket
// has taken what came before.
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "net/connection.h"
#include "net/response_text.h"

namespace dunlin {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

asio::awaitable<bool> Connection::sleep(uint32_t seconds_max) {
    error_code ec;
    wait_.expires_after(seconds(seconds_max));
    co_await wait_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    co_return !ec;
}

asio::awaitable<bool> Connection::write(std::string_view bytes) {
    if (closed_) co_return false;
    error_code ec;
    set_deadline(SteadyClock::now() + seconds(net_->settings.write_timeout_s));
    co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()),
                               asio::redirect_error(asio::use_awaitable, ec));
    set_deadline(TimePoint::max());
    if (ec) close();
    co_return !ec;
}

std::move_only_function<void() noexcept> Connection::waker() {
    return [weak = weak_from_this(), core = std::weak_ptr(net_)]() noexcept {
        if (const auto net = core.lock())
            asio::post(net->io, [weak] {
                if (const auto connection = weak.lock()) {
                    connection->asked_ = false;
                    connection->woken_ = true;
                    connection->wake();
                }
            });
    };
}

asio::awaitable<std::string> Connection::first_text(BodySource& source) {
    std::string text;
    const auto until = SteadyClock::now() + seconds(net_->settings.hold_head_s);
    while (!closed_) {
        ended_ = source.pull(text) == BodySource::Next::End;
        if (ended_ || !text.empty() || SteadyClock::now() >= until) break;
        ask_to_wake(source);
        while (!woken_ && !closed_) {
            const bool silent = co_await sleep(net_->settings.hold_head_s);
            if (silent) break;
        }
    }
    co_return text;
}

asio::awaitable<void> Connection::wait_for_body(BodySource& source, bool chunked) {
    ask_to_wake(source);
    while (!woken_ && !closed_) {
        const bool silent = co_await sleep(net_->settings.ping_s);
        if (woken_ || closed_) break;
        if (!silent) continue;
        const auto idle = source.idle_text();
        const std::string ping = chunked ? chunk_text(idle) : std::string(idle);
        if (!ping.empty()) co_await write(ping);
    }
}

asio::awaitable<bool> Connection::send_stream(BodySource& source, std::string text, bool chunked,
                                              Served& served) {
    while (!closed_) {
        if (text.empty() && !ended_) {
            ended_ = source.pull(text) == BodySource::Next::End;
            if (text.empty() && !ended_) {
                co_await wait_for_body(source, chunked);
                continue;
            }
        }
        served.body_bytes += text.size();
        std::string framed = chunked ? chunk_text(text) : text;
        if (ended_ && chunked) framed += kLastChunk;
        text.clear();
        const bool sent = co_await write(framed);
        if (ended_) co_return sent;
    }
    co_return false;
}

asio::awaitable<bool> Connection::send(HttpResponse& response, const HttpHeaders& added,
                                       TimePoint begin, Served& served) {
    const NetSettings& settings = net_->settings;
    const bool head_only = served.request.method == "HEAD";
    std::string first;
    if (response.stream) {
        first = co_await first_text(*response.stream);
        if (auto other = response.stream->instead()) response = std::move(*other);
    }
    const auto framing = !response.stream ? Framing::Length
                         : http_1_0_      ? Framing::UntilClose
                                          : Framing::Chunked;
    keep_ = keep_ && !net_->stopping && framing != Framing::UntilClose;
    HttpHeaders headers = settings.headers;
    headers.insert(headers.end(), added.begin(), added.end());
    headers.emplace_back("x-request-id", served.request.id);
    const auto spent = SteadyClock::now() - begin;
    if (!settings.processing_ms_header.empty())
        headers.emplace_back(settings.processing_ms_header,
                             std::to_string(duration_cast<milliseconds>(spent).count()));
    std::string head = response_head(response, headers, framing, keep_);
    served.status = response.status;
    if (!response.stream && !head_only) {
        served.body_bytes = response.body.size();
        head += response.body;
    }
    const bool sent = co_await write(head);
    if (!response.stream || head_only) co_return sent;
    co_return co_await send_stream(*response.stream, std::move(first), framing == Framing::Chunked,
                                   served);
}

}  // namespace dunlin
