// A server whose every path is a WebSocket that sends back what it gets: the transport alone, for
// tests/websocket. "close CODE REASON" makes it close. Prints its port, serves until its standard
// input ends, and prints a line for each socket that was served.
#include <charconv>
#include <cstdio>
#include <mutex>
#include <thread>

#include <unistd.h>

#include "net/listener.h"

namespace {

using dunlin::WebSocketPeer;

class Echo final : public WebSocketPeer {
 public:
    void receive(std::string text) override {
        if (text.starts_with("close ")) {
            const std::string_view code = std::string_view(text).substr(6, 4);
            std::from_chars(code.data(), code.data() + code.size(), code_);
            reason_ = text.substr(std::min<size_t>(text.size(), 11));
            over_ = true;
        } else {
            out_.push_back(std::move(text));
        }
        if (ready_) std::exchange(ready_, {})();
    }
    Next pull(std::vector<std::string>& out) override {
        out = std::exchange(out_, {});
        return over_ ? Next::End : Next::Wait;
    }
    void wake_when_ready(std::move_only_function<void() noexcept> ready) override {
        if (out_.empty() && !over_)
            ready_ = std::move(ready);
        else
            ready();
    }
    uint16_t close_code() const override { return code_; }
    std::string close_reason() const override { return reason_; }

 private:
    std::vector<std::string> out_;
    std::move_only_function<void() noexcept> ready_;
    uint16_t code_ = 1000;
    std::string reason_;
    bool over_ = false;
};

void serve(const std::shared_ptr<dunlin::Exchange>& exchange) {
    exchange->respond({.status = 101, .websocket = std::make_unique<Echo>()});
}

}  // namespace

int main() {
    dunlin::NetHandlers handlers{
        .serve = serve,
        .refuse =
            [](const dunlin::HttpRequest&, int status, std::string_view why) {
                return dunlin::HttpResponse{.status = status, .body = std::string(why)};
            },
        .served =
            [](const dunlin::Served& served) {
                std::printf("served %d %llu\n", served.status,
                            static_cast<unsigned long long>(served.body_bytes));
                std::fflush(stdout);
            },
    };
    auto listener =
        dunlin::Listener::start({.write_timeout_s = 2, .ping_s = 5}, std::move(handlers));
    if (!listener) {
        std::fprintf(stderr, "%s\n", listener.error().message.c_str());
        return 1;
    }
    std::printf("%u\n", static_cast<unsigned>((*listener)->port()));
    std::fflush(stdout);
    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    (*listener)->stop(10'000'000);
    return 0;
}
