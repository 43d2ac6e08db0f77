// One WebSocket from its handshake to its end. Beast knows RFC 6455: frames, masks, UTF-8, pongs,
// and which bytes of a client break it (it then closes with the right code by itself). What is
// decided here is who waits for whom. The connection's own coroutine writes: it asks the peer for
// messages only when the socket has taken the ones before, pings a silent client, and closes. A
// second one reads, and no faster than it may. Whatever ends the socket ends both: the reader says
// so with `read_ended_` or `reason_` and wakes the writer, which closes and waits for the reader.
#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/log.h"
#include "net/connection.h"
#include "net/upgrade.h"

namespace dunlin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kPieceBytes = 16 << 10;   // of a message, at a time
constexpr size_t kPerSecondMax = 50;       // messages; pings and pongs
constexpr size_t kCloseReasonBytes = 123;  // RFC 6455, 5.5
constexpr auto kCloseTime = seconds(2);    // for the other side's close frame

/// The connection's socket as the layer below Beast's stream.
struct Wire {
    using executor_type = tcp::socket::executor_type;
    executor_type get_executor() { return socket->get_executor(); }
    template <class Buffers, class Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        socket->async_read_some(buffers, std::forward<Handler>(handler));
    }
    template <class Buffers, class Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        socket->async_write_some(buffers, std::forward<Handler>(handler));
    }
    tcp::socket* socket;
};

/// Beast's ways to end the layer below. The connection does that, with a limit in time.
template <class Handler>
void async_teardown(beast::role_type, Wire& wire, Handler&& handler) {
    asio::post(wire.get_executor(),
               beast::bind_front_handler(std::forward<Handler>(handler), error_code{}));
}
void beast_close_socket(Wire& wire) {
    error_code ignored;
    wire.socket->close(ignored);
}

/// So many events in any second, and no more.
class Pace {
 public:
    /// When the next one may be.
    SteadyClock::time_point next() const { return times_[at_] + seconds(1); }
    void count() {
        times_[at_] = SteadyClock::now();
        at_ = (at_ + 1) % times_.size();
    }

 private:
    std::array<SteadyClock::time_point, kPerSecondMax> times_{};
    size_t at_ = 0;
};

/// Whether the text ends in the middle of a character; the rest of it is known to be UTF-8. Beast
/// 1.81 does not look where a message's last frame is empty.
bool is_cut(std::string_view text) {
    for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xc0) == 0x80) continue;
        const size_t size = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        return size > back;
    }
    return false;
}

/// What fits into a close frame, in whole characters.
std::string_view short_reason(std::string_view text) {
    size_t size = std::min(text.size(), kCloseReasonBytes);
    while (size > 0 && size < text.size() && (text[size] & 0xc0) == 0x80) --size;
    return text.substr(0, size);
}

}  // namespace

class Connection::WebSocket : public std::enable_shared_from_this<WebSocket> {
 public:
    WebSocket(Connection& connection, WebSocketPeer& peer)
        : connection_(connection), peer_(peer), stream_(Wire{&connection.socket_}) {}

    Task<bool> accept(const HttpRequest& request, const HttpHeaders& headers);
    Task<void> run();
    /// Lets the writer look at everything again.
    void nudge();
    uint64_t bytes_sent() const { return bytes_sent_; }

 private:
    Task<void> read();
    Task<bool> read_piece(std::string& message);
    Task<void> write_all();
    Task<void> write(const std::string& message);
    Task<void> keep_alive();
    Task<void> wait();
    Task<void> close();

    void see_control_frame(websocket::frame_type kind);
    void end_with(uint16_t code, std::string_view why);
    bool stopping() const { return connection_.net_->stopping; }
    bool alive() const { return !connection_.closed_ && stream_.is_open(); }
    bool goes_on() const { return alive() && !reason_; }
    void set_deadlines(TimePoint write_until, TimePoint end_until);
    TimePoint ping_at() const {
        return std::max(heard_, pinged_) + seconds(connection_.net_->settings.ping_s);
    }

    Connection& connection_;
    WebSocketPeer& peer_;
    websocket::stream<Wire, false> stream_;
    std::optional<websocket::close_reason> reason_;  // why this side closes
    bool read_ended_ = false, nudged_ = false;
    bool in_message_ = false;  // a part of it has come
    Pace messages_, control_frames_;
    TimePoint heard_ = SteadyClock::now(), pinged_{};  // from the client; this side's last ping
    TimePoint write_until_ = TimePoint::max(), end_until_ = TimePoint::max();
    uint64_t bytes_sent_ = 0;
};

void Connection::WebSocket::nudge() {
    nudged_ = true;
    connection_.wake();
}

void Connection::WebSocket::end_with(uint16_t code, std::string_view why) {
    if (reason_) return;
    reason_ = websocket::close_reason(static_cast<websocket::close_code>(code), short_reason(why));
    nudge();
}

/// The earlier of both ends everything that the socket does.
void Connection::WebSocket::set_deadlines(TimePoint write_until, TimePoint end_until) {
    write_until_ = write_until;
    end_until_ = end_until;
    connection_.set_deadline(std::min(write_until, end_until));
}

asio::awaitable<bool> Connection::WebSocket::accept(const HttpRequest& request,
                                                    const HttpHeaders& headers) {
    namespace http = beast::http;
    const NetSettings& settings = connection_.net_->settings;
    stream_.read_message_max(settings.websocket_message_bytes_max);
    stream_.auto_fragment(false);
    stream_.text(true);
    stream_.control_callback(
        [this](websocket::frame_type kind, beast::string_view) { see_control_frame(kind); });
    // Called by async_accept() only.
    stream_.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
        response.set(http::field::server, "dunlin");
        for (const auto& [name, value] : headers)
            if (value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos)
                response.set(name, value);
    }));
    // check_upgrade() has read the client's own; Beast needs the key.
    http::request<http::empty_body> handshake{http::verb::get, "/", 11};
    handshake.set(http::field::host, "-");
    handshake.set(http::field::connection, "Upgrade");
    handshake.set(http::field::upgrade, "websocket");
    handshake.set(http::field::sec_websocket_version, "13");
    handshake.set(http::field::sec_websocket_key, std::string(request.header("sec-websocket-key")));
    set_deadlines(SteadyClock::now() + seconds(settings.write_timeout_s), TimePoint::max());
    error_code ec;
    co_await stream_.async_accept(handshake, asio::redirect_error(asio::use_awaitable, ec));
    set_deadlines(TimePoint::max(), TimePoint::max());
    co_return !ec && alive();
}

/// Called while a read is under way. Pongs and the answer to a close frame are Beast's.
void Connection::WebSocket::see_control_frame(websocket::frame_type kind) {
    heard_ = SteadyClock::now();
    if (kind == websocket::frame_type::close) {
        set_deadlines(write_until_, heard_ + kCloseTime);
        return;
    }
    if (control_frames_.next() > heard_) end_with(1008, "too many pings");
    control_frames_.count();
}

/// Whether to go on. A message's text gathers in `message`.
asio::awaitable<bool> Connection::WebSocket::read_piece(std::string& message) {
    error_code ec;
    if (!in_message_ && messages_.next() > SteadyClock::now()) {
        connection_.look_again_.expires_at(messages_.next());
        co_await connection_.look_again_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
    if (!goes_on()) co_return false;
    auto buffer = asio::dynamic_buffer(message);
    co_await stream_.async_read_some(buffer, kPieceBytes,
                                     asio::redirect_error(asio::use_awaitable, ec));
    heard_ = SteadyClock::now();
    if (ec || !goes_on()) co_return false;
    if (!stream_.got_text()) {
        end_with(1003, "messages are text");
        co_return false;
    }
    if (!std::exchange(in_message_, !stream_.is_message_done())) messages_.count();
    if (!in_message_ && is_cut(message)) {
        end_with(1007, "the text ends within a character");
        co_return false;
    }
    if (!in_message_) {
        peer_.receive(std::exchange(message, {}));
        if (peer_.busy()) connection_.set_busy(true);
    }
    co_return true;
}

asio::awaitable<void> Connection::WebSocket::read() {
    try {
        std::string message;
        for (bool more = true; more;) more = co_await read_piece(message);
    } catch (const std::exception& error) {
        log_error("net", "reading a websocket failed", {{"why", error.what()}});
        connection_.close();
    }
    read_ended_ = true;
    nudge();
}

asio::awaitable<void> Connection::WebSocket::write(const std::string& message) {
    error_code ec;
    set_deadlines(SteadyClock::now() + seconds(connection_.net_->settings.write_timeout_s),
                  end_until_);
    co_await stream_.async_write(asio::buffer(message),
                                 asio::redirect_error(asio::use_awaitable, ec));
    set_deadlines(TimePoint::max(), end_until_);
    if (!ec) bytes_sent_ += message.size();
}

/// A client that is silent for so long is asked for a sign of life, and given up without one.
asio::awaitable<void> Connection::WebSocket::keep_alive() {
    if (!goes_on() || SteadyClock::now() < ping_at()) co_return;
    if (pinged_ > heard_) {
        connection_.close();
        co_return;
    }
    error_code ec;
    pinged_ = SteadyClock::now();
    set_deadlines(pinged_ + seconds(connection_.net_->settings.write_timeout_s), end_until_);
    co_await stream_.async_ping({}, asio::redirect_error(asio::use_awaitable, ec));
    set_deadlines(TimePoint::max(), end_until_);
}

/// Until the peer has more, somebody nudges, or a ping is due.
asio::awaitable<void> Connection::WebSocket::wait() {
    connection_.ask_to_wake(peer_);
    if (!connection_.woken_ && !nudged_ && goes_on()) {
        error_code ec;
        connection_.wait_.expires_at(ping_at());
        co_await connection_.wait_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
    nudged_ = false;
}

asio::awaitable<void> Connection::WebSocket::write_all() {
    std::vector<std::string> out;
    while (goes_on()) {
        out.clear();
        const bool over = peer_.pull(out) == WebSocketPeer::Next::End;
        connection_.set_busy(stopping() || over || !out.empty() || peer_.busy());
        for (const auto& message : out)
            if (goes_on()) co_await write(message);
        if (over) end_with(peer_.close_code(), peer_.close_reason());
        if (stopping() && out.empty() && !peer_.busy()) end_with(1001, "the server stops");
        co_await keep_alive();
        if (out.empty()) co_await wait();
    }
}

asio::awaitable<void> Connection::WebSocket::close() {
    error_code ec;
    set_deadlines(TimePoint::max(), SteadyClock::now() + kCloseTime);
    co_await stream_.async_close(*reason_, asio::redirect_error(asio::use_awaitable, ec));
    if (ec) connection_.close();
}

asio::awaitable<void> Connection::WebSocket::run() {
    asio::co_spawn(
        connection_.net_->io,
        [self = shared_from_this(), connection = connection_.shared_from_this()] {
            return self->read();
        },
        asio::detached);
    try {
        co_await write_all();
        if (reason_ && alive()) co_await close();
    } catch (const std::exception& error) {
        log_error("net", "writing a websocket failed", {{"why", error.what()}});
        connection_.close();
    }
    // Beast may still be answering a close frame, or a breach of the protocol.
    set_deadlines(TimePoint::max(), std::min(end_until_, SteadyClock::now() + kCloseTime));
    while (!read_ended_) {
        if (connection_.late_) connection_.close();
        co_await connection_.sleep(1);
    }
    set_deadlines(TimePoint::max(), TimePoint::max());
}

void Connection::drain() {
    if (websocket_ == nullptr) return;
    set_busy(true);
    websocket_->nudge();
}

std::optional<HttpResponse> Connection::refuse_upgrade(const HttpRequest& request) {
    keep_ = false;
    auto refused = check_upgrade(request, http_1_0_);
    if (!refused && !in_.empty())
        refused = {400, "the client must wait for the handshake before it sends more"};
    if (!refused && net_->stopping) refused = {503, "the server stops"};
    if (!refused) return std::nullopt;
    HttpResponse response = net_->handlers.refuse(request, refused->status, refused->why);
    if (refused->status == 426)
        response.headers.insert(
            response.headers.end(),
            {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}});
    return response;
}

asio::awaitable<bool> Connection::run_websocket(const HttpRequest& request, HttpResponse& response,
                                                Served& served) {
    end_watch();
    std::string().swap(in_);  // an open socket may be silent for hours
    HttpHeaders headers = net_->settings.headers;
    headers.emplace_back("x-request-id", request.id);
    headers.insert(headers.end(), response.headers.begin(), response.headers.end());
    const auto socket = std::make_shared<WebSocket>(*this, *response.websocket);
    const bool accepted = co_await socket->accept(request, headers);
    if (!accepted) co_return false;
    served.status = response.status;
    websocket_ = socket.get();
    ++*net_->websockets;
    co_await socket->run();
    --*net_->websockets;
    websocket_ = nullptr;
    served.body_bytes = socket->bytes_sent();
    co_return true;
}

}  // namespace dunlin
