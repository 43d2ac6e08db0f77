// One thread runs everything here: accepting, every connection's coroutine, and what other threads
// post. Connection state therefore needs no locks.
//
// A connection's coroutine reads a request, hands an Exchange to the handler and waits on a timer
// that never fires by itself: respond(), a body's wake and a lost client all end that wait by
// cancelling it. While an exchange is open a second coroutine watches the socket, because a client
// that leaves during a long prefill is only seen by reading: an answer cancelled late costs
// compute.
#include "net/listener.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <random>
#include <set>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/log.h"

namespace dunlin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

auto into(error_code& ec) {
    return asio::redirect_error(asio::use_awaitable, ec);
}

std::string new_request_id() {
    static thread_local std::mt19937_64 draw{std::random_device{}()};
    char text[40];
    std::snprintf(text, sizeof text, "req-%016llx", static_cast<unsigned long long>(draw()));
    return text;
}

/// A name from the client is kept if it is harmless in a log and a header.
bool usable_id(std::string_view id) {
    return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_' || c == '.';
    });
}

std::string head_text(const HttpResponse& response, const std::string& id, bool keep,
                      bool chunked) {
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
    const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
    head.append(reason.data(), reason.size()).append("\r\n");
    for (const auto& [name, value] : response.headers)
        if (value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos)
            head.append(name).append(": ").append(value).append("\r\n");
    head.append("x-request-id: ").append(id).append("\r\n");
    if (chunked)
        head += "Transfer-Encoding: chunked\r\n";
    else if (response.status != 204 && !response.stream)
        head.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
    head.append("Connection: ").append(keep ? "keep-alive" : "close").append("\r\n\r\n");
    return head;
}

std::string chunk_text(std::string_view bytes) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return std::string(size).append(bytes).append("\r\n");
}

}  // namespace

class Connection;

struct Listener::State : std::enable_shared_from_this<Listener::State> {
    State(NetSettings s, NetHandlers h) : settings(std::move(s)), handlers(std::move(h)) {}

    NetSettings settings;
    NetHandlers handlers;
    asio::io_context io{1};
    tcp::acceptor acceptor{io};
    uint16_t port = 0;
    std::thread thread;
    std::atomic<bool> stopping{false};
    std::set<std::shared_ptr<Connection>> connections;  // I/O thread only

    asio::awaitable<void> accept();
    void close_all(bool idle_only);
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
    Connection(std::shared_ptr<Listener::State> net, tcp::socket socket)
        : net_(std::move(net)), stream_(std::move(socket)), wait_(net_->io), watch_(net_->io) {}

    asio::awaitable<void> run();
    void close();
    bool idle() const { return !exchange_; }

 private:
    class Open;  // an Exchange
    using Parser = http::request_parser<http::string_body>;

    asio::awaitable<bool> read(HttpRequest& request);
    asio::awaitable<bool> read_body(Parser& parser, error_code& ec);
    asio::awaitable<void> refuse(int status, std::string_view why);
    asio::awaitable<void> serve(HttpRequest request);
    asio::awaitable<void> send(HttpResponse& response, bool head_only, Served& served);
    asio::awaitable<void> send_stream(BodySource& source, bool chunked, Served& served);
    asio::awaitable<void> write(std::string_view bytes);
    asio::awaitable<void> watch(std::shared_ptr<Open> exchange);
    /// Whether the time passed; false when woken.
    asio::awaitable<bool> sleep(uint32_t at_most_s);
    void wake() { wait_.cancel(); }

    std::shared_ptr<Listener::State> net_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    asio::steady_timer wait_, watch_;
    std::shared_ptr<Open> exchange_;  // while one is under way
    bool keep_ = true, http_1_0_ = false, woken_ = false, closed_ = false;
};

class Connection::Open final : public Exchange {
 public:
    Open(HttpRequest request, std::shared_ptr<Connection> connection)
        : request_(std::move(request)), connection_(connection), net_(connection->net_) {}

    const HttpRequest& request() const override { return request_; }
    std::stop_token gone() const override { return stop.get_token(); }
    void set_route(std::string_view pattern) override { route = pattern; }

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
    HttpResponse response;
    std::atomic<bool> ready{false};

 private:
    HttpRequest request_;
    std::weak_ptr<Connection> connection_;
    std::weak_ptr<Listener::State> net_;
    std::atomic<bool> answered_{false};
};

void Connection::close() {
    if (closed_) return;
    closed_ = true;
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.close();
    watch_.cancel();
    wake();
    if (exchange_) exchange_->stop.request_stop();
}

asio::awaitable<bool> Connection::sleep(uint32_t at_most_s) {
    error_code ec;
    wait_.expires_after(seconds(at_most_s));
    co_await wait_.async_wait(into(ec));
    co_return !ec;
}

asio::awaitable<void> Connection::write(std::string_view bytes) {
    if (closed_) co_return;
    error_code ec;
    stream_.expires_after(seconds(net_->settings.write_timeout_s));
    co_await asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()), into(ec));
    stream_.expires_never();
    if (ec) close();
}

asio::awaitable<void> Connection::refuse(int status, std::string_view why) {
    HttpResponse response = net_->handlers.refuse(status, why);
    const std::string text = head_text(response, new_request_id(), false, false) + response.body;
    co_await write(text);
    // Closing with unread input makes the kernel drop the answer: take what is still coming.
    std::array<char, 4096> rest{};
    error_code ec;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ec);
    stream_.expires_after(seconds(1));
    for (int i = 0; i < 256 && !ec; ++i)
        co_await stream_.async_read_some(asio::buffer(rest), into(ec));
    close();
}

asio::awaitable<bool> Connection::read_body(Parser& parser, error_code& ec) {
    if (!parser.is_done() && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await write(kContinue);
    }
    while (!ec && !closed_ && !parser.is_done()) {
        stream_.expires_after(seconds(net_->settings.request_timeout_s));
        co_await http::async_read_some(stream_, buffer_, parser, into(ec));
    }
    co_return !ec && !closed_;
}

asio::awaitable<bool> Connection::read(HttpRequest& request) {
    const NetSettings& settings = net_->settings;
    Parser parser;
    parser.header_limit(settings.header_bytes_max);
    parser.body_limit(settings.body_bytes_max);
    error_code ec;
    if (buffer_.size() == 0) {  // between requests: a long wait without a fault
        stream_.expires_after(seconds(settings.idle_timeout_s));
        const auto space = buffer_.prepare(4096);
        const size_t bytes = co_await stream_.async_read_some(space, into(ec));
        if (ec || closed_) co_return false;
        buffer_.commit(bytes);
    }
    stream_.expires_after(seconds(settings.request_timeout_s));
    co_await http::async_read_header(stream_, buffer_, parser, into(ec));
    bool whole = false;
    if (!ec) whole = co_await read_body(parser, ec);
    if (!whole) {
        if (ec == beast::error::timeout)
            co_await refuse(408, "the request did not come in time");
        else if (ec == http::error::header_limit)
            co_await refuse(431, "the headers are larger than " +
                                     std::to_string(settings.header_bytes_max) + " bytes");
        else if (ec == http::error::body_limit)
            co_await refuse(413, "the body is larger than " +
                                     std::to_string(settings.body_bytes_max) + " bytes");
        else if (ec.category() == make_error_code(http::error::bad_method).category() &&
                 ec != http::error::end_of_stream && ec != http::error::partial_message)
            co_await refuse(400, "not HTTP/1.1: " + ec.message());
        co_return false;
    }
    stream_.expires_never();
    auto message = parser.release();
    http_1_0_ = message.version() < 11;
    keep_ = message.keep_alive();
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& field : message) {
        std::string name(field.name_string());
        for (char& c : name)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request.body = std::move(message.body());
    const auto given = request.header("x-request-id");
    request.id = usable_id(given) ? std::string(given) : new_request_id();
    const auto peer = stream_.socket().remote_endpoint(ec);
    if (!ec) request.peer = peer.address().to_string();
    co_return true;
}

asio::awaitable<void> Connection::watch(std::shared_ptr<Open> exchange) {
    while (!closed_ && exchange_ == exchange) {
        error_code ec;
        co_await stream_.socket().async_wait(tcp::socket::wait_read, into(ec));
        if (ec || closed_ || exchange_ != exchange) co_return;
        char byte = 0;
        const size_t bytes =
            stream_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, ec);
        if (bytes == 0) {
            close();
            co_return;
        }
        // The next request is here already; look again later, or the wait would spin.
        watch_.expires_after(std::chrono::milliseconds(200));
        co_await watch_.async_wait(into(ec));
    }
}

asio::awaitable<void> Connection::send_stream(BodySource& source, bool chunked, Served& served) {
    std::string text;
    while (!closed_) {
        text.clear();
        const auto next = source.pull(text);
        if (text.empty() && next == BodySource::Next::Wait) {
            woken_ = false;
            source.wake_when_ready(
                [weak = weak_from_this(), core = std::weak_ptr(net_)]() noexcept {
                    if (const auto net = core.lock())
                        asio::post(net->io, [weak] {
                            if (const auto connection = weak.lock()) {
                                connection->woken_ = true;
                                connection->wake();
                            }
                        });
                });
            while (!woken_ && !closed_) {
                const bool silent = co_await sleep(net_->settings.ping_s);
                if (woken_ || closed_) break;
                if (!silent) continue;
                const auto idle = source.idle_text();
                const std::string ping = chunked ? chunk_text(idle) : std::string(idle);
                if (!idle.empty()) co_await write(ping);
            }
            continue;
        }
        served.body_bytes += text.size();
        std::string framed;
        if (!text.empty()) framed = chunked ? chunk_text(text) : text;
        if (next == BodySource::Next::End && chunked) framed += "0\r\n\r\n";
        co_await write(framed);
        if (next == BodySource::Next::End) co_return;
    }
}

asio::awaitable<void> Connection::send(HttpResponse& response, bool head_only, Served& served) {
    const bool chunked = response.stream && !http_1_0_;
    if (response.stream && http_1_0_) keep_ = false;  // the end of the connection ends the body
    keep_ = keep_ && !net_->stopping;
    std::string head = head_text(response, served.request.id, keep_, chunked);
    served.status = response.status;
    if (!response.stream && !head_only) {
        served.body_bytes = response.body.size();
        head += response.body;
    }
    co_await write(head);
    if (response.stream && !head_only) co_await send_stream(*response.stream, chunked, served);
}

asio::awaitable<void> Connection::serve(HttpRequest given) {
    const auto begin = SteadyClock::now();
    const auto exchange = std::make_shared<Open>(std::move(given), shared_from_this());
    exchange_ = exchange;
    asio::co_spawn(
        net_->io, [self = shared_from_this(), exchange] { return self->watch(exchange); },
        asio::detached);
    net_->handlers.serve(exchange);
    while (!closed_ && !exchange->ready.load(std::memory_order_acquire)) co_await sleep(3600);

    Served served{exchange->request(), exchange->route};
    if (exchange->ready.load(std::memory_order_acquire)) {
        HttpResponse& response = exchange->response;
        const bool head_only = exchange->request().method == "HEAD";
        co_await send(response, head_only, served);
        response.stream.reset();
    }
    served.gone = closed_;
    if (closed_) served.status = 499;
    served.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    net_->handlers.served(served);
    exchange_.reset();
    watch_.cancel();
    error_code ignored;
    if (!closed_) stream_.socket().cancel(ignored);  // ends the watch
}

asio::awaitable<void> Connection::run() {
    const auto self = shared_from_this();
    try {
        do {
            HttpRequest request;
            const bool whole = co_await read(request);
            if (!whole) break;
            co_await serve(std::move(request));
        } while (keep_ && !closed_ && !net_->stopping);
    } catch (const std::exception& error) {
        log_error("net", "connection failed", {{"why", error.what()}});
    }
    close();
    exchange_.reset();
    net_->connections.erase(self);
}

asio::awaitable<void> Listener::State::accept() {
    const auto self = shared_from_this();
    while (!stopping) {
        error_code ec;
        tcp::socket socket(io);
        co_await acceptor.async_accept(socket, into(ec));
        if (stopping || ec == asio::error::operation_aborted) co_return;
        if (ec || connections.size() >= settings.connections_max) {
            // Out of descriptors or over the limit: the socket closes; do not spin on the error.
            log_warning("net", "connection refused",
                        {{"why", ec ? ec.message() : "connections_max is reached"}});
            asio::steady_timer pause(io, std::chrono::milliseconds(ec ? 100 : 1));
            co_await pause.async_wait(into(ec));
            continue;
        }
        socket.set_option(tcp::no_delay(true), ec);
        const auto connection = std::make_shared<Connection>(self, std::move(socket));
        connections.insert(connection);
        asio::co_spawn(io, [connection] { return connection->run(); }, asio::detached);
    }
}

void Listener::State::close_all(bool idle_only) {
    const auto copy = connections;
    for (const auto& connection : copy)
        if (!idle_only || connection->idle()) connection->close();
}

Expected<std::unique_ptr<Listener>> Listener::start(NetSettings settings, NetHandlers handlers) {
    auto state = std::make_shared<State>(std::move(settings), std::move(handlers));
    const NetSettings& given = state->settings;
    const std::string where = given.host + ":" + std::to_string(given.port);
    error_code ec;
    const auto address =
        asio::ip::make_address(given.host == "localhost" ? "127.0.0.1" : given.host, ec);
    if (ec) return fail(Code::Invalid, "'" + given.host + "' is not an IP address to listen on");
    const tcp::endpoint endpoint(address, given.port);
    state->acceptor.open(endpoint.protocol(), ec);
    if (!ec) state->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) state->acceptor.bind(endpoint, ec);
    if (!ec) state->acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec == asio::error::address_in_use)
        return fail(Code::Io, where +
                                  " is in use by another program; stop it or choose another "
                                  "port with --port");
    if (ec) return fail(Code::Io, "cannot listen on " + where + ": " + ec.message());
    state->port = state->acceptor.local_endpoint(ec).port();
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

void Listener::stop(int64_t drain_us) {
    if (!state_->thread.joinable()) return;
    State& net = *state_;
    net.stopping = true;
    asio::post(net.io, [&net] {
        error_code ignored;
        net.acceptor.close(ignored);
        net.close_all(true);
    });
    // The I/O thread runs out of work when the last connection ends.
    const auto deadline = SteadyClock::now() + std::chrono::microseconds(drain_us);
    while (!net.io.stopped() && SteadyClock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (!net.io.stopped()) asio::post(net.io, [&net] { net.close_all(false); });
    net.thread.join();
}

}  // namespace dunlin
