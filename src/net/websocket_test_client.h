#pragma once

// For net's tests: a WebSocket client that can break every rule, a peer that a test drives, and a
// listener that serves such peers.

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"

namespace dunlin::websocket_test {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr char kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10;

struct Frame {
    int opcode = 0;
    std::string payload;
    /// Of a close frame; 1005 where it carries none.
    int code() const {
        if (payload.size() < 2) return 1005;
        return static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]);
    }
};

/// One frame as a client sends it: `first` is the byte with FIN, the reserved bits and the opcode.
inline std::string client_frame(int first, std::string_view payload, bool masked = true) {
    const std::string key = "\x11\x9a\x7f\xe3";
    const char mask_bit = static_cast<char>(masked ? 0x80 : 0);
    std::string out(1, static_cast<char>(first));
    const auto add_size = [&](char kind, int bytes) {
        out += static_cast<char>(mask_bit | kind);
        for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(payload.size() >> 8 * i);
    };
    if (payload.size() < 126)
        out += static_cast<char>(mask_bit | static_cast<char>(payload.size()));
    else if (payload.size() < 65536)
        add_size(126, 2);
    else
        add_size(127, 8);
    if (masked) out += key;
    const size_t begin = out.size();
    out += payload;
    for (size_t i = 0; masked && i < payload.size(); ++i) out[begin + i] ^= key[i % 4];
    return out;
}
inline std::string text_frame(std::string_view text) {
    return client_frame(0x80 | kText, text);
}
inline std::string close_frame(int code, std::string_view reason = {}) {
    const std::string head = {static_cast<char>(code >> 8), static_cast<char>(code)};
    return client_frame(0x80 | kClose, head + std::string(reason));
}

class Client {
 public:
    /// `receive_bytes`: of the kernel's buffer; 0 leaves it.
    explicit Client(uint16_t port, int receive_bytes = 0) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
        const timeval patience{.tv_sec = 10, .tv_usec = 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (receive_bytes > 0)
            setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    }
    ~Client() { leave(); }
    Client(const Client&) = delete;

    /// Closes the socket; with `reset`, so that the kernel says nothing but RST.
    void leave(bool reset = false) {
        if (fd_ < 0) return;
        const linger now{.l_onoff = 1, .l_linger = 0};
        if (reset) setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(std::exchange(fd_, -1));
    }
    void end_sending() { shutdown(fd_, SHUT_WR); }

    /// Whether the kernel took everything.
    bool send_bytes(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(sent));
        }
        return true;
    }
    static std::string handshake(std::string_view path = "/", std::string_view version = "13") {
        return "GET " + std::string(path) +
               " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: " +
               std::string(version) + "\r\n\r\n";
    }
    /// The head of the answer.
    std::string read_head() {
        while (in_.find("\r\n\r\n") == in_.npos)
            if (!receive()) break;
        return take(std::min(in_.find("\r\n\r\n"), in_.size() - 4) + 4);
    }
    std::string open(std::string_view path = "/") {
        EXPECT_TRUE(send_bytes(handshake(path)));
        return read_head();
    }

    /// Nothing where the server has closed the connection, or is silent for 10 s.
    std::optional<Frame> read_frame() {
        while (in_.size() < 2)
            if (!receive()) return std::nullopt;
        const int kind = in_[1] & 0x7f;
        EXPECT_EQ(in_[1] & 0x80, 0) << "a server masks nothing";
        EXPECT_EQ(in_[0] & 0x70, 0) << "no extension was agreed on";
        const size_t extra = kind == 126 ? 2 : kind == 127 ? 8 : 0;
        while (in_.size() < 2 + extra)
            if (!receive()) return std::nullopt;
        size_t size = extra == 0 ? static_cast<size_t>(kind) : 0;
        for (size_t i = 0; i < extra; ++i) size = size << 8 | static_cast<uint8_t>(in_[2 + i]);
        while (in_.size() < 2 + extra + size)
            if (!receive()) return std::nullopt;
        Frame frame{.opcode = in_[0] & 15, .payload = {}};
        take(2 + extra);
        frame.payload = take(size);
        return frame;
    }
    /// The next text message; pings before it are answered.
    std::optional<std::string> read_text() {
        while (auto frame = read_frame()) {
            if (frame->opcode == kText) return std::move(frame->payload);
            if (frame->opcode == kPing) send_bytes(client_frame(0x80 | kPong, frame->payload));
            if (frame->opcode == kClose) return std::nullopt;
        }
        return std::nullopt;
    }
    /// The close frame's code, whatever comes before it; 1006 where the connection just ends.
    int read_close(std::string* reason = nullptr) {
        while (auto frame = read_frame()) {
            if (frame->opcode != kClose) continue;
            if (reason != nullptr && frame->payload.size() > 2) *reason = frame->payload.substr(2);
            return frame->code();
        }
        return 1006;
    }
    /// Whether the server ends the connection, within 10 s.
    bool sees_end() {
        const auto began = SteadyClock::now();
        while (receive()) in_.clear();
        return SteadyClock::now() - began < seconds(9);
    }

 private:
    bool receive() {
        char part[65536];
        const ssize_t bytes = recv(fd_, part, sizeof part, 0);
        if (bytes > 0) in_.append(part, static_cast<size_t>(bytes));
        return bytes > 0;
    }
    std::string take(size_t bytes) {
        std::string out = in_.substr(0, bytes);
        in_.erase(0, bytes);
        return out;
    }

    int fd_;
    std::string in_;
};

/// What a test and a peer share.
struct Room {
    std::mutex mutex;
    std::vector<std::string> received, out;
    std::move_only_function<void() noexcept> ready;
    bool echoes = true, busy = false, ended = false;
    size_t flood_bytes = 0;  // of each message of an endless stream; 0: no such stream
    uint16_t code = 1000;
    std::string reason;
    std::atomic<size_t> pulled{0};  // bytes
    std::atomic<int> peers{0};

    void wake() {
        std::move_only_function<void() noexcept> call;
        {
            const std::lock_guard lock(mutex);
            call = std::exchange(ready, {});
        }
        if (call) call();
    }
    /// Changes something, and lets the connection look.
    void change(const std::function<void(Room&)>& how) {
        {
            const std::lock_guard lock(mutex);
            how(*this);
        }
        wake();
    }
    void say(std::string text) {
        change([&](Room& room) { room.out.push_back(std::move(text)); });
    }
    size_t count() {
        const std::lock_guard lock(mutex);
        return received.size();
    }
};

class TestPeer final : public WebSocketPeer {
 public:
    explicit TestPeer(std::shared_ptr<Room> room) : room_(std::move(room)) { ++room_->peers; }
    ~TestPeer() override { --room_->peers; }

    void receive(std::string text) override {
        {
            const std::lock_guard lock(room_->mutex);
            room_->received.push_back(text);
            if (room_->echoes) room_->out.push_back(std::move(text));
        }
        room_->wake();
    }
    Next pull(std::vector<std::string>& out) override {
        const std::lock_guard lock(room_->mutex);
        if (room_->flood_bytes > 0) room_->out.emplace_back(room_->flood_bytes, 'x');
        for (auto& text : room_->out) room_->pulled += text.size();
        out = std::exchange(room_->out, {});
        return room_->ended ? Next::End : Next::Wait;
    }
    void wake_when_ready(std::move_only_function<void() noexcept> ready) override {
        {
            const std::lock_guard lock(room_->mutex);
            if (room_->out.empty() && !room_->ended) {
                room_->ready = std::move(ready);
                return;
            }
        }
        ready();
    }
    bool busy() const override {
        const std::lock_guard lock(room_->mutex);
        return room_->busy;
    }
    uint16_t close_code() const override { return room_->code; }
    std::string close_reason() const override { return room_->reason; }

 private:
    std::shared_ptr<Room> room_;
};

/// A listener whose paths are rooms: each request gets a peer in the room of its path.
class WebSocketTest : public testing::Test {
 protected:
    void start(NetSettings settings) {
        NetHandlers handlers{
            .serve = [this](const std::shared_ptr<Exchange>& exchange) { serve(*exchange); },
            .refuse =
                [](const HttpRequest&, int status, std::string_view why) {
                    return HttpResponse{.status = status, .body = std::string(why)};
                },
            .served =
                [this](const Served& served) {
                    status_ = served.status;
                    bytes_ = served.body_bytes;
                    ++served_count_;
                },
        };
        auto started = Listener::start(std::move(settings), std::move(handlers));
        ASSERT_TRUE(started) << started.error().message;
        listener_ = std::move(*started);
    }
    void SetUp() override { start({.write_timeout_s = 1, .ping_s = 60}); }
    void TearDown() override {
        if (listener_) listener_->stop(0);
        for (const auto& [path, room] : rooms_) EXPECT_EQ(room->peers, 0) << path;
    }

    std::shared_ptr<Room> room(const std::string& path = "/") {
        const std::lock_guard lock(mutex_);
        auto& one = rooms_[path];
        if (!one) one = std::make_shared<Room>();
        return one;
    }
    /// Whether the check comes true in time.
    static bool eventually(const std::function<bool()>& check, seconds within = seconds(10)) {
        const auto until = SteadyClock::now() + within;
        while (!check()) {
            if (SteadyClock::now() > until) return false;
            std::this_thread::sleep_for(milliseconds(2));
        }
        return true;
    }

    std::atomic<int> status_{0}, served_count_{0};
    std::atomic<uint64_t> bytes_{0};
    std::unique_ptr<Listener> listener_;

 private:
    void serve(Exchange& exchange) {
        const auto path = exchange.request().path();
        HttpResponse response{.status = 101};
        const auto offered = exchange.request().header("sec-websocket-protocol");
        if (!offered.empty()) response.headers = {{"Sec-WebSocket-Protocol", std::string(offered)}};
        response.websocket = std::make_unique<TestPeer>(room(std::string(path)));
        exchange.respond(std::move(response));
    }

    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Room>> rooms_;
};

}  // namespace dunlin::websocket_test
