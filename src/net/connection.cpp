// A connection's coroutine reads a request, hands an Exchange to the handler and waits on a timer
// that never fires by itself: respond(), a body's wake and a lost client all end that wait by
// cancelling it. While an exchange is open a second coroutine watches the socket, because a client
// that leaves during a long prefill is only seen by reading: an answer cancelled late costs
// compute. A third one keeps the deadlines. An upgraded connection goes on in
// connection_websocket.cpp.
#include "net/connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace dunlin {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

class Connection::Open final : public Exchange {
 public:
    Open(HttpRequest request, const std::shared_ptr<Connection>& connection)
        : request_(std::move(request)), connection_(connection), net_(connection->net_) {}

    const HttpRequest& request() const override { return request_; }
    std::stop_token gone() const override { return stop.get_token(); }
    void set_route(std::string_view pattern) override { route = pattern; }
    void add_header(std::string name, std::string value) override {
        headers.emplace_back(std::move(name), std::move(value));
    }

    void respond(HttpResponse given) override {
        if (answered_.exchange(true)) return;
        response = std::move(given);
        ready.store(true, std::memory_order_release);
        if (const auto net = net_.lock())
            asio::post(net->io, [weak = connection_] {
                if (const auto connection = weak.lock()) connection->wake();
            });
    }

    std::stop_source stop;
    std::string route;
    HttpHeaders headers;
    HttpResponse response;
    std::atomic<bool> ready{false};

 private:
    HttpRequest request_;
    std::weak_ptr<Connection> connection_;
    std::weak_ptr<Listener::State> net_;
    std::atomic<bool> answered_{false};
};

Connection::Connection(std::shared_ptr<Listener::State> net, tcp::socket socket, bool full)
    : net_(std::move(net)),
      socket_(std::move(socket)),
      wait_(net_->io),
      look_again_(net_->io),
      clock_(net_->io),
      full_(full) {
    error_code ec;
    const auto peer = socket_.remote_endpoint(ec);
    if (!ec) peer_ = peer.address().to_string();
}

void Connection::start() {
    const auto self = shared_from_this();
    net_->connections.insert(self);
    asio::co_spawn(net_->io, [self] { return self->run(); }, asio::detached);
    asio::co_spawn(net_->io, [self] { return self->watch_clock(); }, asio::detached);
}

void Connection::close() {
    if (closed_) return;
    closed_ = true;
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    socket_.close(ignored);
    look_again_.cancel();
    clock_.cancel();
    wake();
    if (exchange_) exchange_->stop.request_stop();
}

void Connection::set_deadline(TimePoint until) {
    deadline_ = until;
    // A later deadline needs no call: the clock looks again when the earlier one has passed.
    if (until < clock_.expiry()) clock_.cancel();
}

void Connection::set_busy(bool busy) {
    if (busy_ == busy) return;
    busy_ = busy;
    net_->busy += busy ? 1 : -1;
}

asio::awaitable<void> Connection::watch_clock() {
    while (!closed_) {
        if (deadline_ <= SteadyClock::now()) {
            late_ = true;
            deadline_ = TimePoint::max();
            error_code ignored;
            socket_.cancel(ignored);
        }
        clock_.expires_at(std::min(deadline_, SteadyClock::now() + std::chrono::hours(1)));
        error_code ec;
        co_await clock_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
}

asio::awaitable<void> Connection::watch_client(std::shared_ptr<Open> exchange) {
    const auto watches = [&] { return !closed_ && watched_ && exchange_ == exchange; };
    while (watches()) {
        error_code ec;
        co_await socket_.async_wait(tcp::socket::wait_read,
                                    asio::redirect_error(asio::use_awaitable, ec));
        if (ec || !watches()) co_return;
        char byte = 0;
        const size_t bytes = socket_.receive(asio::buffer(&byte, 1), tcp::socket::message_peek, ec);
        if (bytes == 0 && ec != asio::error::would_block) {
            close();
            co_return;
        }
        // The next request is here already; look again later, or the wait would spin.
        look_again_.expires_after(std::chrono::milliseconds(200));
        co_await look_again_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
}

void Connection::end_watch() {
    watched_ = false;
    look_again_.cancel();
    error_code ignored;
    if (!closed_) socket_.cancel(ignored);
}

asio::awaitable<void> Connection::serve(HttpRequest given) {
    const auto begin = SteadyClock::now();
    const auto exchange = std::make_shared<Open>(std::move(given), shared_from_this());
    exchange_ = exchange;
    watched_ = true;
    asio::co_spawn(
        net_->io, [self = shared_from_this(), exchange] { return self->watch_client(exchange); },
        asio::detached);
    net_->handlers.serve(exchange);
    while (!closed_ && !exchange->ready.load(std::memory_order_acquire)) co_await sleep(3600);

    bool upgrade = false;
    Served served{.request = exchange->request(), .route = exchange->route, .gone = true};
    if (exchange->ready.load(std::memory_order_acquire)) {
        HttpResponse& response = exchange->response;
        upgrade = response.websocket != nullptr;
        if (upgrade)
            if (auto refused = refuse_upgrade(exchange->request())) response = std::move(*refused);
        if (response.websocket)
            served.gone = !co_await run_websocket(exchange->request(), response, served);
        else
            served.gone = !co_await send(response, exchange->headers, begin, served);
        response.stream.reset();
        response.websocket.reset();
    }
    if (served.gone) served.status = 499;
    served.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    net_->handlers.served(served);
    exchange_.reset();
    set_busy(false);
    end_watch();
    if (upgrade) co_await linger();
}

asio::awaitable<void> Connection::run() {
    const auto self = shared_from_this();
    try {
        do {
            auto request = co_await read();
            if (!request) break;
            co_await serve(std::move(*request));
        } while (keep_ && !closed_);
    } catch (const std::exception& error) {
        log_error("net", "connection failed", {{"why", error.what()}});
    }
    close();
    exchange_.reset();
    set_busy(false);
    net_->connections.erase(self);
}

}  // namespace dunlin
