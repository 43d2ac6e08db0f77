#pragma once

// Private to net: the state that the listener and its connections share. Everything in here runs on
// the listener's one I/O thread, so nothing needs a lock.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

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
    std::atomic<size_t> busy{0};  // connections in the middle of a request
    std::set<std::shared_ptr<Connection>> connections;

    Expected<void> open();
    boost::asio::awaitable<void> accept();
    void close_all();
};

/// One client's socket: requests are read and answered one after another.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
    /// `full`: the server has no place for it, so its first request is refused.
    Connection(std::shared_ptr<Listener::State> net, boost::asio::ip::tcp::socket socket,
               bool full);

    /// Serves until the client has gone, errs or is asked to close.
    void start();
    void close();

 private:
    using TimePoint = std::chrono::steady_clock::time_point;
    template <class T>
    using Task = boost::asio::awaitable<T>;
    class Open;  // an Exchange

    Task<void> run();
    Task<void> serve(HttpRequest request);
    Task<void> watch_client(std::shared_ptr<Open> exchange);

    // connection_read.cpp
    Task<std::optional<HttpRequest>> read();
    Task<bool> read_more(TimePoint until);
    Task<void> refuse(HttpRequest& request, const Refusal& refusal, TimePoint begin);
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
    void ask_to_wake(BodySource& source);
    Task<void> wait_for_body(BodySource& source, bool chunked);
    /// Until wake(), for so many seconds at most. Whether the time passed.
    Task<bool> sleep(uint32_t seconds_max);
    void wake() { wait_.cancel(); }

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
    const bool full_;
    bool keep_ = true, http_1_0_ = false, busy_ = false;
    bool asked_ = false, woken_ = false, ended_ = false;
    bool closed_ = false, late_ = false;
};

}  // namespace dunlin
