// The parent's side. Everything that a Runner tells without computing (lengths, room, what is
// reserved) is kept here as of the last reply, so that a step of many sequences needs one exchange
// and not one for each of them, and so that there is an answer when the process is gone.
#include "runner/process/process_runner.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "runner/check_batch.h"
#include "runner/process/child.h"
#include "runner/process/protocol.h"
#include "runner/process/shared_file.h"

namespace dunlin::process {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kYoungUs = 60 * kSecondUs;  // one that ends before may do so again and again
constexpr int64_t kPauseUsMax = 30 * kSecondUs;

struct Kept {
    Digest domain;
    std::vector<TokenId> prompt;
    uint32_t tokens_max = 0;
    SeqId there = 0;  // its name in the child; 0: the child does not know it
    uint32_t length = 0;
    uint32_t reserved_to = 0;  // the length up to which there is room
};

class ProcessRunner final : public Runner {
 public:
    ProcessRunner(ProcessSettings settings, const Clock& clock)
        : settings_(std::move(settings)), clock_(clock) {}
    /// One that still loads has nothing to end in peace.
    ~ProcessRunner() override {
        if (coming_) coming_->end();
    }

    /// The first start.
    Expected<void> begin() {
        if (!file_.usable())
            return fail(Code::Io, std::string("no shared memory for the model's process: ") +
                                      std::strerror(errno));
        auto head = Shared::map(file_.fd(), sizeof(Head));
        if (!head) return std::unexpected(head.error());
        shared_ = std::move(*head);
        auto child = start();
        if (!child) return std::unexpected(child.error());
        auto hello = greet(std::move(*child));
        if (!hello) return std::unexpected(hello.error());
        const auto layout = layout_of(hello->capabilities);
        if (!layout) return std::unexpected(layout.error());
        if (file_.size() < layout->total) return fail(Code::Internal, "too little shared memory");
        auto whole = Shared::map(file_.fd(), layout->total);
        if (!whole) return std::unexpected(whole.error());
        shared_ = std::move(*whole);
        layout_ = *layout;
        capabilities_ = hello->capabilities;
        empty_room_ = room_ = hello->room;
        return {};
    }

    const Capabilities& capabilities() const noexcept override { return capabilities_; }

    Expected<SeqId> open(const SequenceSpec& spec) override {
        if (auto refused = refuse(spec.prompt.size(), spec.tokens_max))
            return std::unexpected(std::move(*refused));
        Kept kept{.domain = spec.domain,
                  .prompt = {spec.prompt.begin(), spec.prompt.end()},
                  .tokens_max = spec.tokens_max};
        if (auto known = introduce(kept); !known) return std::unexpected(known.error());
        return keep(std::move(kept));
    }

    Match match(SeqId seq) override {
        Kept& kept = of(seq);
        if (!introduce(kept)) return {.length = kept.length};
        const auto reply = call({.op = Op::Match, .seq = kept.there});
        if (!reply) return {};
        Match out = reply->match;
        kept.length = out.length = std::min(out.length, kept.tokens_max);
        kept.reserved_to = std::max(kept.reserved_to, kept.length);
        if (out.wait_for != 0) out.wait_for = here(out.wait_for);
        return out;
    }

    Expected<SeqId> fork(SeqId parent, uint32_t length) override {
        CHECK(length <= of(parent).length);
        if (auto refused = refuse(of(parent).prompt.size(), of(parent).tokens_max))
            return std::unexpected(std::move(*refused));
        if (auto known = introduce(of(parent)); !known) return std::unexpected(known.error());
        const auto reply = call({.op = Op::Fork, .seq = of(parent).there, .amount = length});
        if (!reply) return std::unexpected(reply.error());
        Kept child = of(parent);
        child.there = reply->value;
        if (const auto got = ask_length(child); !got) return std::unexpected(got.error());
        child.reserved_to = child.length;
        return keep(std::move(child));
    }

    bool reserve(SeqId seq, uint32_t tokens) override {
        Kept& kept = of(seq);
        const uint64_t wanted = uint64_t{kept.length} + tokens;
        if (wanted > kept.tokens_max) return false;
        if (wanted <= kept.reserved_to) return true;
        // A sequence that has its slot has all of it.
        if (capabilities_.fixed_slots && kept.reserved_to > 0) {
            kept.reserved_to = static_cast<uint32_t>(wanted);
            return true;
        }
        // There is no room while the child starts; where it cannot start, launch() says why.
        if (const auto known = introduce(kept); !known) return known.error().code != Code::NoRoom;
        const auto reply = call({.op = Op::Reserve, .seq = kept.there, .amount = tokens});
        if (!reply) return true;
        if (reply->value == 0) return false;
        const uint64_t granule = capabilities_.fixed_slots ? 1 : std::max(1U, reply->room.granule);
        const uint64_t whole = (wanted + granule - 1) / granule * granule;
        kept.reserved_to = static_cast<uint32_t>(std::min<uint64_t>(whole, kept.tokens_max));
        return true;
    }

    uint32_t trim(SeqId seq, uint32_t length) override {
        Kept& kept = of(seq);
        if (kept.there == 0) return kept.length;
        if (length < kept.length) kept_span_.forget(seq);
        const auto reply = call({.op = Op::Trim, .seq = kept.there, .amount = length});
        if (!reply) return 0;
        kept.length = std::min({reply->value, length, kept.length});
        kept.reserved_to = kept.length;
        return kept.length;
    }

    void close(SeqId seq, Keep how) override {
        const SeqId there = of(seq).there;
        kept_.erase(seq);
        kept_span_.forget(seq);
        if (there != 0)
            (void)call({.op = Op::Close, .seq = there, .amount = static_cast<uint32_t>(how)});
    }

    uint32_t length(SeqId seq) const override { return of(seq).length; }
    Room room() const override {
        Room out = room_;
        out.sequences_free = capabilities_.sequences_max - static_cast<uint32_t>(kept_.size());
        return out;
    }

    Expected<StepId> launch(const Batch& batch) override {
        if (!child_) {
            const auto up = start_again();
            return !up && up.error().code == Code::DeviceLost ? std::unexpected(up.error())
                                                              : gone();
        }
        const auto reserved = [this](SeqId seq) {
            const Kept& kept = of(seq);
            return kept.reserved_to - kept.length;
        };
        if (auto refused = check_batch(batch, capabilities_, reserved, kept_span_))
            return std::unexpected(std::move(*refused));
        kept_span_.note(batch, capabilities_);
        const auto count = static_cast<uint32_t>(batch.spans.size());
        write(batch);
        const Command command{.op = Op::Step, .count = count};
        if (!child_->send(&command, sizeof command)) return lost();
        in_flight_ = true;
        return ++step_;
    }

    Expected<Step> collect(StepId step) override {
        CHECK(in_flight_ && step == step_);
        in_flight_ = false;
        auto reply = receive();
        if (!reply) {
            kept_span_.clear();
            if (reply.error().code == Code::Corrupt) return outdated(reply.error().message);
            if (child_) relearn_lengths();
            return std::unexpected(reply.error());
        }
        if (reply->outputs != outputs_due_) return lost();
        for (const auto& [seq, tokens] : launched_) of(seq).length += tokens;
        read_outputs(reply->outputs);
        return Step{outputs_, reply->compute_us};
    }

    void cancel() noexcept override {
        const std::lock_guard lock(child_mutex_);
        if (child_) child_->cancel();
    }
    uint64_t progress() const noexcept override {
        return shared_.head().progress.load(std::memory_order_relaxed);
    }
    MemoryReport memory() const noexcept override {
        const Head& head = shared_.head();
        return {.weights_bytes = head.weights.load(std::memory_order_relaxed),
                .kv_total_bytes = head.kv_total.load(std::memory_order_relaxed),
                .kv_used_bytes = head.kv_used.load(std::memory_order_relaxed),
                .kv_cached_bytes = head.kv_cached.load(std::memory_order_relaxed),
                .scratch_bytes = head.scratch.load(std::memory_order_relaxed),
                .device_bytes = head.device.load(std::memory_order_relaxed)};
    }

 private:
    Kept& of(SeqId seq) {
        const auto found = kept_.find(seq);
        CHECK(found != kept_.end());
        return found->second;
    }
    const Kept& of(SeqId seq) const { return const_cast<ProcessRunner*>(this)->of(seq); }
    /// Why a sequence cannot open, if so, without asking the child.
    std::optional<Error> refuse(uint64_t prompt_tokens, uint64_t tokens_max) const {
        return refuse_opening({.prompt_tokens = prompt_tokens,
                               .tokens_max = tokens_max,
                               .tokens_most = capabilities_.sequence_tokens_max,
                               .open = static_cast<uint32_t>(kept_.size()),
                               .sequences_max = capabilities_.sequences_max});
    }
    SeqId here(SeqId there) const {
        for (const auto& [seq, kept] : kept_)
            if (kept.there == there) return seq;
        return 0;
    }
    SeqId keep(Kept kept) {
        do ++last_seq_;
        while (last_seq_ == 0 || kept_.contains(last_seq_));
        kept_.emplace(last_seq_, std::move(kept));
        return last_seq_;
    }

    void set_child(std::unique_ptr<Child> child) {
        const std::lock_guard lock(child_mutex_);
        child_.swap(child);
    }

    /// Starts a child, which then loads.
    Expected<std::unique_ptr<Child>> start() {
        std::fill(std::begin(shared_.head().last_words), std::end(shared_.head().last_words), '\0');
        auto child = Child::start(settings_.command, file_.fd());
        if (child) (void)(*child)->send(settings_.spec.data(), settings_.spec.size());
        return child;
    }

    /// Waits until the child can work, and makes it ours.
    Expected<Hello> greet(std::unique_ptr<Child> child) {
        Hello hello;
        if (!child->receive(&hello, sizeof hello))
            return fail(Code::Internal, "the process of " + settings_.name + " " + child->end() +
                                            " while it loaded" + last_words(shared_.head()));
        if (hello.failure.failed) return std::unexpected(to_error(hello.failure));
        set_child(std::move(child));
        started_us_ = clock_.now_us();
        return hello;
    }

    /// Never waits, because there is more to do on this thread than to load: whoever wants the
    /// child asks again. Errors: NoRoom while it loads, DeviceLost.
    Expected<void> start_again() {
        if (clock_.now_us() < not_before_us_) return not_yet();
        if (!coming_) {
            auto child = start();
            if (!child) {
                trouble_ = child.error().message;
                pause();
                return not_yet();
            }
            coming_ = std::move(*child);
        }
        if (!coming_->has_said_something())
            return fail(Code::NoRoom, "the process of " + settings_.name + " is being started");
        const auto hello = greet(std::move(coming_));
        if (!hello) {
            trouble_ = hello.error().message;
            pause();
            return not_yet();
        }
        const Capabilities& now = hello->capabilities;
        if (now.vocabulary != capabilities_.vocabulary ||
            now.sequences_max != capabilities_.sequences_max ||
            now.sequence_tokens_max != capabilities_.sequence_tokens_max ||
            now.step_tokens_max != capabilities_.step_tokens_max ||
            now.step_outputs_max != capabilities_.step_outputs_max) {
            trouble_ =
                "its file holds another model now, which is served when the server is "
                "started again";
            set_child(nullptr);
            pause();
            return not_yet();
        }
        room_ = hello->room;
        log_info("runner", "process started again", {{"engine", settings_.name}});
        return {};
    }

    std::unexpected<Error> not_yet() const {
        const int64_t wait_ms = (not_before_us_ - clock_.now_us()) / 1000 + 1;
        return std::unexpected(Error{Code::DeviceLost,
                                     settings_.name + " cannot compute the model: " + trouble_ +
                                         " (it is started again at the first request in " +
                                         std::to_string((wait_ms + 999) / 1000) + " s)",
                                     {},
                                     wait_ms});
    }

    void pause() {
        pause_us_ = std::clamp(2 * pause_us_, kSecondUs, kPauseUsMax);
        not_before_us_ = clock_.now_us() + pause_us_;
    }

    /// The child is gone, or says what makes no sense: nothing of it is left.
    std::unexpected<Error> lost() {
        std::string how =
            "the process of " + settings_.name + " " + child_->end() + last_words(shared_.head());
        log_error("runner", how);
        forget_child();
        trouble_ = how;
        if (clock_.now_us() - started_us_ >= kYoungUs) {
            pause_us_ = not_before_us_ = 0;
            young_deaths_ = 0;
        } else if (young_deaths_++ > 0) {
            pause();
        }
        return fail(Code::DeviceLost, std::move(how));
    }

    std::unexpected<Error> gone() const {
        return fail(Code::DeviceLost, "the process of " + settings_.name + " is gone");
    }

    void forget_child() {
        set_child(nullptr);
        kept_span_.clear();
        for (auto& [seq, kept] : kept_) kept.there = kept.length = kept.reserved_to = 0;
        room_ = empty_room_;
    }

    /// The child cannot go on with what it has loaded: the next call loads it anew.
    std::unexpected<Error> outdated(std::string why) {
        log_warning("runner", why, {{"engine", settings_.name}});
        forget_child();
        return fail(Code::DeviceLost, std::move(why));
    }

    Expected<Reply> receive() {
        if (!child_) return gone();
        Reply reply;
        if (!child_->receive(&reply, sizeof reply)) return lost();
        room_ = reply.room;
        if (reply.failure.failed) return std::unexpected(to_error(reply.failure));
        return reply;
    }

    /// One exchange.
    Expected<Reply> call(const Command& command) {
        CHECK(!in_flight_);
        if (!child_) return gone();
        if (!child_->send(&command, sizeof command)) return lost();
        return receive();
    }

    /// Makes the sequence known to the child; after a restart it is not. Nothing is lost with a
    /// child that ended meanwhile, so that it is started again at once.
    Expected<void> introduce(Kept& kept) {
        for (const bool may_retry : {true, false}) {
            if (!child_)
                if (auto up = start_again(); !up) return up;
            if (kept.there != 0) return {};
            std::copy(kept.prompt.begin(), kept.prompt.end(),
                      shared_.at<TokenId>(layout_.tokens, kept.prompt.size()).begin());
            const auto reply = call({.op = Op::Open,
                                     .seq = 0,
                                     .amount = kept.tokens_max,
                                     .count = static_cast<uint32_t>(kept.prompt.size()),
                                     .domain = kept.domain});
            if (reply) kept.there = reply->value;
            if (!reply && (child_ || !may_retry)) return std::unexpected(reply.error());
        }
        return {};
    }

    Expected<void> ask_length(Kept& kept) {
        const auto reply = call({.op = Op::Length, .seq = kept.there});
        if (!reply) return std::unexpected(reply.error());
        kept.length = std::min(reply->value, kept.tokens_max);
        return {};
    }

    void relearn_lengths() {
        for (const auto& [seq, tokens] : launched_)
            if (child_) (void)ask_length(of(seq));
    }

    void write(const Batch& batch) {
        launched_.clear();
        outputs_due_ = 0;
        auto spans = shared_.at<SharedSpan>(layout_.spans, batch.spans.size());
        auto tokens = shared_.at<TokenId>(layout_.tokens, capabilities_.step_tokens_max);
        auto at = tokens.begin();
        for (size_t i = 0; i < batch.spans.size(); ++i) {
            const Span& span = batch.spans[i];
            const auto count = static_cast<uint32_t>(span.tokens.size());
            spans[i] = {of(span.seq).there, count, span.outputs, span.parts};
            at = std::copy(span.tokens.begin(), span.tokens.end(), at);
            launched_.emplace_back(span.seq, is_finished(span, capabilities_) ? count : 0);
            outputs_due_ += span.outputs;
        }
    }

    /// The logits stay where they are, until the next step.
    void read_outputs(uint32_t count) {
        const size_t width = capabilities_.vocabulary;
        const auto given = shared_.at<const SharedOutput>(layout_.outputs, count);
        const auto logits = shared_.at<const float>(layout_.logits, count * width);
        outputs_.clear();
        for (size_t i = 0; i < count; ++i)
            outputs_.push_back({.seq = here(given[i].seq),
                                .position = given[i].position,
                                .logits = logits.subspan(i * width, width),
                                .finite = given[i].finite != 0});
    }

    const ProcessSettings settings_;
    const Clock& clock_;
    SharedFile file_;
    Shared shared_;
    Layout layout_{};
    Capabilities capabilities_;
    Room room_, empty_room_;
    std::map<SeqId, Kept> kept_;
    SeqId last_seq_ = 0;

    StepId step_ = 0;
    bool in_flight_ = false;
    KeptSpan kept_span_;
    std::vector<std::pair<SeqId, uint32_t>> launched_;  // the step in flight
    uint32_t outputs_due_ = 0;
    std::vector<Output> outputs_;

    int64_t started_us_ = 0, not_before_us_ = 0, pause_us_ = 0;
    uint32_t young_deaths_ = 0;
    std::string trouble_;             // why the child is not there
    mutable std::mutex child_mutex_;  // of the pointer, for cancel()
    std::unique_ptr<Child> child_;    // only the engine's thread changes it
    std::unique_ptr<Child> coming_;   // in place of one that ended: it still loads
};

}  // namespace
}  // namespace dunlin::process

namespace dunlin {

Expected<std::unique_ptr<Runner>> make_process_runner(const ProcessSettings& settings,
                                                      const Clock& clock) {
    if (settings.command.empty() || settings.spec.empty() ||
        settings.spec.size() > process::kSpecBytesMax)
        return fail(Code::Invalid, "a model's process needs a command, and a text of up to 64 KiB");
    auto runner = std::make_unique<process::ProcessRunner>(settings, clock);
    if (auto begun = runner->begin(); !begun) return std::unexpected(begun.error());
    return runner;
}

}  // namespace dunlin
