// A socket has three sides on three threads. receive() comes on the I/O thread and only queues; a
// worker handles one message after another, in order; pull() comes on the I/O thread again and
// reads the answers' own logs, as much as the client took. So nothing is buffered here but the
// short replies, and a slow client costs only itself.
#include "api/chat_socket.h"

#include <deque>
#include <list>
#include <mutex>

#include "api/authenticate.h"
#include "api/chat_messages.h"

namespace dunlin {
namespace {

constexpr size_t kAnswersMax = 16;
constexpr size_t kInboxMax = 64, kOutboxMax = 256;
constexpr size_t kEventsOfATurnAtOnce = 64, kBytesAtOnce = 32 << 10;
constexpr uint16_t kNoKey = 4401;
constexpr int64_t kKeyTimeUs = 10'000'000;  // for a key that is still to come

/// One answer that this socket follows, or has asked for.
struct Following {
    std::string id;                           // as the client calls it; may be empty
    std::shared_ptr<TurnReader> reader = {};  // nothing while the answer is being prepared
    uint64_t next = 0, after = 0;             // tokens up to `after` were seen before
    bool resumed = false, started = false, stopped = false, asked = false;
    End end = End::Stop;
};

class Chat : public std::enable_shared_from_this<Chat> {
 public:
    Chat(ApiContext& api, std::optional<Caller> caller, std::string peer)
        : api_(api), peer_(std::move(peer)), caller_(std::move(caller)), known_(caller_) {}

    void receive(std::string text) {
        {
            const std::lock_guard lock(mutex_);
            if (closing_) return;
            if (inbox_.size() >= kInboxMax) {
                say(error_message({Code::Overloaded, "too many messages at once"}, {}, {}, {}));
            } else {
                inbox_.push_back(std::move(text));
                if (working_) return;
                working_ = api_.workers.post([self = shared_from_this()] { self->work(); });
                if (working_) return;
                inbox_.clear();
                say(error_message({Code::Overloaded, "too many requests wait; try again"}, {}, {},
                                  {}));
            }
        }
        wake();
    }

    WebSocketPeer::Next pull(std::vector<std::string>& out) {
        const std::lock_guard lock(mutex_);
        if (!known_ && !closing_ && api_.clock.now_us() - opened_us_ > kKeyTimeUs) {
            say(error_message({Code::Unauthorized, "no key came within 10 seconds"}, {}, {}, {}));
            end(kNoKey);
        }
        size_t bytes = 0;
        while (!outbox_.empty() && bytes < kBytesAtOnce) {
            bytes += outbox_.front().size();
            out.push_back(std::move(outbox_.front()));
            outbox_.pop_front();
        }
        for (auto it = followings_.begin(); it != followings_.end() && bytes < kBytesAtOnce;)
            it = read(**it, out, bytes) ? followings_.erase(it) : std::next(it);
        const bool over = closing_ && outbox_.empty();
        return over ? WebSocketPeer::Next::End : WebSocketPeer::Next::Wait;
    }

    void wake_when_ready(std::move_only_function<void() noexcept> ready) {
        std::vector<std::pair<std::shared_ptr<TurnReader>, uint64_t>> ask;
        {
            const std::lock_guard lock(mutex_);
            ready_ = std::move(ready);
            for (const auto& one : followings_)
                if (one->reader && !std::exchange(one->asked, true))
                    ask.emplace_back(one->reader, one->next);
        }
        for (auto& [reader, next] : ask)
            (*reader)->wake_on_event(next,
                                     [weak = weak_from_this(), key = reader.get()]() noexcept {
                                         if (const auto self = weak.lock()) self->on_event(key);
                                     });
        bool due = false;
        {
            const std::lock_guard lock(mutex_);
            due = !outbox_.empty() || closing_;
        }
        if (due) wake();
    }

    uint16_t close_code() const { return closing_code_; }
    bool busy() {
        const std::lock_guard lock(mutex_);
        return working_ || !followings_.empty();
    }

    /// The client has gone: answers go on, but not those that have not begun.
    void leave() {
        gone_.request_stop();
        const std::lock_guard lock(mutex_);
        closing_ = true;
        inbox_.clear();
        followings_.clear();
    }

 private:
    using Handler = void (Chat::*)(const ChatMessage&);
    struct Row {
        std::string_view type;
        Handler handle;
    };
    static const Row kRows[];

    /// REQUIRES: the mutex is held.
    void say(std::string message) {
        if (outbox_.size() < kOutboxMax) outbox_.push_back(std::move(message));
    }
    void refuse(const Error& error, std::string_view id) {
        count_error(api_.metrics, error);
        const std::lock_guard lock(mutex_);
        say(error_message(error, id, {}, {}));
    }

    void wake() {
        std::move_only_function<void() noexcept> ready;
        {
            const std::lock_guard lock(mutex_);
            ready = std::exchange(ready_, nullptr);
        }
        if (ready) ready();
    }

    void on_event(const TurnReader* reader) noexcept {
        {
            const std::lock_guard lock(mutex_);
            for (const auto& one : followings_)
                if (one->reader.get() == reader) one->asked = false;
        }
        wake();
    }

    void work() {
        while (true) {
            std::string text;
            {
                const std::lock_guard lock(mutex_);
                working_ = !inbox_.empty();
                if (!working_) break;
                text = std::move(inbox_.front());
                inbox_.pop_front();
            }
            handle(text);
            wake();
        }
        wake();
    }

    void handle(const std::string& text) {
        const auto message = read_chat_message(text);
        if (!message) return refuse(message.error(), {});
        if (!caller_ && message->type != "auth") {
            refuse({Code::Unauthorized, "the first message must bring a key: auth {key}"},
                   message->id);
            const std::lock_guard lock(mutex_);
            return end(kNoKey);
        }
        for (const Row* row = kRows; row->handle; ++row)
            if (row->type == message->type) return (this->*row->handle)(*message);
        refuse({Code::Invalid, "there is no message of this type; see docs/formats/websocket.md",
                "type"},
               message->id);
    }

    /// REQUIRES: the mutex is held.
    void end(uint16_t code) {
        closing_code_ = code;
        closing_ = true;
        inbox_.clear();
    }

    void ping(const ChatMessage& message) {
        const std::lock_guard lock(mutex_);
        say(plain_message("pong", message.id));
    }

    /// Whoever spoke before speaks on where the new key is not accepted; nobody was, the end.
    void authenticate(const ChatMessage& message) {
        const auto key = text_member(message.body, "key", true);
        if (!key) return refuse(key.error(), message.id);
        auto caller = caller_of_key(api_, *key, peer_);
        if (!caller) {
            refuse(caller.error(), message.id);
            const std::lock_guard lock(mutex_);
            if (!caller_) end(kNoKey);
            return;
        }
        caller_ = std::move(*caller);
        const std::lock_guard lock(mutex_);
        known_ = true;
        say(plain_message("authenticated", message.id));
    }

    void ask(const ChatMessage& message) {
        if (api_.draining) return refuse({Code::NotReady, "the server is stopping"}, message.id);
        const Allowance left = take_request(api_, *caller_);
        if (!left.allowed) return refuse(rate_limit_error(left), message.id);
        const auto following = enter(message.id);
        if (!following) return refuse(following.error(), message.id);
        auto request = chat_turn(api_, *caller_, message);
        if (!request) {
            drop(*following);
            return refuse(request.error(), message.id);
        }
        api_.turns->begin(std::move(*request), gone_.get_token(),
                          [self = shared_from_this(), one = *following](auto reader) {
                              self->begun(one, std::move(reader));
                          });
    }

    void begun(const std::shared_ptr<Following>& one, Expected<TurnReader> reader) {
        if (!reader) {
            drop(one);
            refuse(reader.error(), one->id);
            return wake();
        }
        auto kept = std::make_shared<TurnReader>(std::move(*reader));
        {
            const std::lock_guard lock(mutex_);
            if (one->stopped) (*kept)->cancel();
            if (!closing_) one->reader = std::move(kept);
        }
        wake();
    }

    void stop(const ChatMessage& message) {
        if (message.id.empty())
            return refuse({Code::Invalid, "'id' of the answer to stop is missing", "id"}, {});
        const std::lock_guard lock(mutex_);
        for (const auto& one : followings_)
            if (one->id == message.id) {
                one->stopped = true;
                if (one->reader) (*one->reader)->cancel();
                return;
            }
        say(error_message({Code::NotFound, "no answer with this id is under way", "id"}, message.id,
                          {}, {}));
    }

    void resume(const ChatMessage& message) {
        const auto session = text_member(message.body, "session_id", true);
        if (!session) return refuse(session.error(), message.id);
        int64_t after = 0;
        const Json* given = message.body.find("after");
        if (given && !given->is_null() && (!given->to_int64(after) || after < 0))
            return refuse({Code::Invalid, "'after' must be the seq of an event", "after"},
                          message.id);
        auto reader = api_.turns->resume(caller_->owner, *session);
        if (!reader) return refuse(reader.error(), message.id);
        const auto one = enter(message.id);
        if (!one) return refuse(one.error(), message.id);
        const std::lock_guard lock(mutex_);
        (*one)->resumed = true;
        (*one)->after = static_cast<uint64_t>(after);
        (*one)->reader = std::make_shared<TurnReader>(std::move(*reader));
    }

    /// A place among the answers under way.
    Expected<std::shared_ptr<Following>> enter(const std::string& id) {
        const std::lock_guard lock(mutex_);
        if (followings_.size() >= kAnswersMax)
            return fail(Code::Overloaded, "16 answers are under way on this socket; wait for one");
        for (const auto& one : followings_)
            if (!id.empty() && one->id == id)
                return fail(Code::Invalid, "an answer with this id is under way", "id");
        followings_.push_back(std::make_shared<Following>(Following{.id = id}));
        return followings_.back();
    }
    void drop(const std::shared_ptr<Following>& one) {
        const std::lock_guard lock(mutex_);
        followings_.remove(one);
    }

    /// Appends what there is of one answer; whether that was its end. REQUIRES: the mutex is held.
    bool read(Following& one, std::vector<std::string>& out, size_t& bytes) {
        if (!one.reader) return false;
        Turn& turn = **one.reader;
        std::vector<Event> events;
        turn.read(one.next, kEventsOfATurnAtOnce, events);
        for (const Event& event : events) {
            const uint64_t seq = one.next++;
            if (const auto* finished = std::get_if<Finished>(&event)) one.end = finished->end;
            if (const auto* failed = std::get_if<Failed>(&event))
                count_error(api_.metrics, failed->error);
            // Where nothing was seen before, `after` is 0, and no text has that number.
            const bool seen = std::holds_alternative<Text>(event) && seq <= one.after;
            std::optional<int64_t> eta_ms;
            if (const auto* waiting = std::get_if<Waiting>(&event))
                eta_ms = api_.turns->eta_ms(waiting->position);
            if (!seen) {
                auto text = event_message({.turn = turn,
                                           .id = one.id,
                                           .seq = seq,
                                           .resumed = one.resumed,
                                           .started = one.started,
                                           .end = one.end,
                                           .eta_ms = eta_ms},
                                          event);
                bytes += text.size();
                if (!text.empty()) out.push_back(std::move(text));
            }
            one.started = one.started || std::holds_alternative<Started>(event);
            if (is_last(event)) return true;
        }
        return false;
    }

    ApiContext& api_;
    const std::string peer_;
    const int64_t opened_us_ = api_.clock.now_us();
    std::stop_source gone_;
    std::optional<Caller> caller_;  // the worker's alone
    std::atomic<uint16_t> closing_code_{1000};

    std::mutex mutex_;  // guards what follows
    std::deque<std::string> inbox_, outbox_;
    std::list<std::shared_ptr<Following>> followings_;
    std::move_only_function<void() noexcept> ready_;
    bool known_, working_ = false, closing_ = false;
};

const Chat::Row Chat::kRows[] = {
    {"auth", &Chat::authenticate}, {"chat", &Chat::ask},          {"regenerate", &Chat::ask},
    {"edit", &Chat::ask},          {"stop", &Chat::stop},         {"resume", &Chat::resume},
    {"ping", &Chat::ping},         {std::string_view(), nullptr},
};

class ChatSocket final : public WebSocketPeer {
 public:
    ChatSocket(ApiContext& api, std::optional<Caller> caller, std::string peer)
        : chat_(std::make_shared<Chat>(api, std::move(caller), std::move(peer))) {}
    ~ChatSocket() override { chat_->leave(); }

    void receive(std::string text) override { chat_->receive(std::move(text)); }
    Next pull(std::vector<std::string>& out) override { return chat_->pull(out); }
    void wake_when_ready(std::move_only_function<void() noexcept> ready) override {
        chat_->wake_when_ready(std::move(ready));
    }
    bool busy() const override { return chat_->busy(); }
    uint16_t close_code() const override { return chat_->close_code(); }

 private:
    std::shared_ptr<Chat> chat_;
};

}  // namespace

std::unique_ptr<WebSocketPeer> make_chat_socket(ApiContext& api, std::optional<Caller> caller,
                                                std::string peer) {
    return std::make_unique<ChatSocket>(api, std::move(caller), std::move(peer));
}

}  // namespace dunlin
