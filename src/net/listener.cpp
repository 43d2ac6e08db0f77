// One thread runs everything in net: accepting, every connection's coroutines, and what other
// threads post. Connection state therefore needs no locks.
#include "net/listener.h"

#include <latch>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "net/connection.h"

namespace dunlin {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

namespace {
/// So many above the limit are told so; the next ones wait in the kernel's queue.
constexpr size_t kRefusedAtOnce = 64;
}  // namespace

asio::awaitable<void> Listener::State::accept() {
    const auto self = shared_from_this();
    asio::steady_timer pause(io);
    while (acceptor.is_open()) {
        error_code ec;
        tcp::socket socket(io);
        if (connections.size() < settings.connections_max + kRefusedAtOnce) {
            co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, ec));
            if (ec == asio::error::operation_aborted) co_return;
        } else {
            ec = asio::error::no_descriptors;
        }
        if (ec) {  // out of descriptors, or far over the limit: do not spin on it
            log_warning("net", "cannot accept connections", {{"why", ec.message()}});
            pause.expires_after(std::chrono::milliseconds(100));
            co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
            continue;
        }
        socket.set_option(tcp::no_delay(true), ec);
        socket.non_blocking(true, ec);
        const bool full = connections.size() >= settings.connections_max;
        std::make_shared<Connection>(self, std::move(socket), full)->start();
    }
}

void Listener::State::drain_all() {
    for (const auto& connection : connections) connection->drain();
}

void Listener::State::close_all() {
    error_code ignored;
    acceptor.close(ignored);
    const auto copy = connections;
    for (const auto& connection : copy) connection->close();
}

Expected<void> Listener::State::open() {
    const std::string where = settings.host + ":" + std::to_string(settings.port);
    error_code ec;
    const auto address =
        asio::ip::make_address(settings.host == "localhost" ? "127.0.0.1" : settings.host, ec);
    if (ec) return fail(Code::Invalid, "'" + settings.host + "' is not an IP address to listen on");
    const tcp::endpoint endpoint(address, settings.port);
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec == asio::error::address_in_use)
        return fail(Code::Io, where +
                                  " is in use by another program; stop it or choose another "
                                  "port with --port");
    if (ec) return fail(Code::Io, "cannot listen on " + where + ": " + ec.message());
    port = acceptor.local_endpoint(ec).port();
    return {};
}

Expected<std::unique_ptr<Listener>> Listener::start(NetSettings settings, NetHandlers handlers) {
    auto state = std::make_shared<State>(std::move(settings), std::move(handlers));
    if (auto opened = state->open(); !opened) return std::unexpected(opened.error());
    asio::co_spawn(state->io, [state] { return state->accept(); }, asio::detached);
    state->thread = std::thread([state] { state->io.run(); });
    return std::unique_ptr<Listener>(new Listener(std::move(state)));
}

Listener::Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}

Listener::~Listener() {
    stop(0);
}

uint16_t Listener::port() const {
    return state_->port;
}

std::shared_ptr<const std::atomic<size_t>> Listener::websockets() const {
    return state_->websockets;
}

void Listener::stop(int64_t drain_us) {
    if (!state_->thread.joinable()) return;
    State& net = *state_;
    net.stopping = true;
    // Open WebSockets count as busy from here on, until they have said goodbye.
    std::latch told(1);
    asio::post(net.io, [&] {
        net.drain_all();
        told.count_down();
    });
    told.wait();
    // New requests are still read, so that their clients are told; none keeps its connection.
    const auto deadline = SteadyClock::now() + std::chrono::microseconds(drain_us);
    while (net.busy > 0 && SteadyClock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    // The I/O thread runs out of work when the last connection ends.
    asio::post(net.io, [&net] { net.close_all(); });
    net.thread.join();
}

}  // namespace dunlin
