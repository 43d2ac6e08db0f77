#pragma once

// Private to net: the state that the listener and its connections share. Everything in here runs on
// the listener's one I/O thread, so nothing needs a lock.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/http.h"
#include "net/listener.h"
#include "net/request_parser.h"

namespace dunlin {

class Connection;

struct Listener::State : std::enable_shared_from_this<Listener::State> {
    State(NetSettings s, NetHandlers h) : settings(std::move(s)), handlers(std::move(h)) {}

    NetSettings settings;
    NetHandlers handlers;
    boost::asio::io_context io{1};
    boost::asio::ip::tcp::acceptor acceptor{io};
    uint16_t port = 0;
    std::thread thread;
    std::atomic<bool> stopping{false};
    std::atomic<size_t> busy{0};  // connections in the middle of a request or an answer
    std::shared_ptr<std::atomic<size_t>> websockets = std::make_shared<std::atomic<size_t>>(0);
    std::set<std::shared_ptr<Connection>> connections;

    Expected<void> open();
    boost::asio::awaitable<void> accept();
    void drain_all();
    void close_all();
};

/// One client's socket: requests are read and answered one after another, until one of them makes
/// it a WebSocket.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
    /// `full`: the server has no place for it, so its first request is refused.
    Connection(std::shared_ptr<Listener::State> net, boost::asio::ip::tcp::socket socket,
               bool full);

    /// Serves until the client has gone, errs or is asked to close.
    void start();
    void close();
    /// The server stops: a WebSocket says goodbye as soon as no answer is under way.
    void drain();

 private:
    using TimePoint = std::chrono::steady_clock::time_point;
    template <class T>
    using Task = boost::asio::awaitable<T>;
    class Open;       // an Exchange
    class WebSocket;  // connection_websocket.cpp

    Task<void> run();
    Task<void> serve(HttpRequest request);
    Task<void> watch_client(std::shared_ptr<Open> exchange);
    void end_watch();

    // connection_read.cpp
    Task<std::optional<HttpRequest>> read();
    Task<bool> read_more(TimePoint until);
    Task<void> refuse(HttpRequest& request, const Refusal& refusal, TimePoint begin);
    Task<void> linger();
    void complete(HttpRequest& request);
    void set_busy(bool busy);  // from a request's first byte to the end of its answer

    // connection_write.cpp
    /// These three: whether the socket took everything.
    Task<bool> write(std::string_view bytes);
    /// `added`: headers of this answer beside its own. `begin`: of the request, for the answer's
    /// header and the duration in `served`.
    Task<bool> send(HttpResponse& response, const HttpHeaders& added, TimePoint begin,
                    Served& served);
    Task<bool> send_stream(BodySource& source, std::string first, bool chunked, Served& served);
    /// What the body begins with, or nothing where that takes too long for the head to wait.
    Task<std::string> first_text(BodySource& source);
    template <class Source>
    void ask_to_wake(Source& source);
    std::move_only_function<void() noexcept> waker();
    Task<void> wait_for_body(BodySource& source, bool chunked);
    /// Until wake(), for so many seconds at most. Whether the time passed.
    Task<bool> sleep(uint32_t seconds_max);
    void wake() { wait_.cancel(); }

    // connection_websocket.cpp
    /// Why this exchange cannot become a WebSocket, or nothing.
    std::optional<HttpResponse> refuse_upgrade(const HttpRequest& request);
    /// Serves it to its end. Whether the handshake came through.
    Task<bool> run_websocket(const HttpRequest& request, HttpResponse& response, Served& served);

    /// Ends the read or write under way at that time; late_ then says so.
    void set_deadline(TimePoint until);
    Task<void> watch_clock();

    std::shared_ptr<Listener::State> net_;
    boost::asio::ip::tcp::socket socket_;
    boost::asio::steady_timer wait_, look_again_, clock_;
    TimePoint deadline_ = TimePoint::max();
    std::string peer_;
    std::string in_;                  // read from the socket, not yet part of a request
    std::shared_ptr<Open> exchange_;  // while one is under way
    WebSocket* websocket_ = nullptr;  // while one is open
    const bool full_;
    bool keep_ = true, http_1_0_ = false, busy_ = false;
    bool asked_ = false, woken_ = false, ended_ = false;
    bool closed_ = false, late_ = false, watched_ = false;
};

/// At most one wish is under way: a source calls back each time that it was asked.
template <class Source>
void Connection::ask_to_wake(Source& source) {
    if (std::exchange(asked_, true)) return;
    woken_ = false;
    source.wake_when_ready(waker());
}

}  // namespace dunlin
