#include "engine/local_engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "engine/prepare.h"
#include "engine/scheduler.h"

namespace dunlin {
namespace {

constexpr int64_t kStallUs = 10'000'000;
constexpr int64_t kPositionUs = 1'000'000;
constexpr std::chrono::milliseconds kNoRoom(10);  // until the Runner is asked again

double ms(int64_t us) {
    return static_cast<double>(us) / 1e3;
}
double seconds(int64_t us) {
    return static_cast<double>(us) / 1e6;
}

class LocalEngine final : public Engine {
 public:
    LocalEngine(std::unique_ptr<Runner> runner, std::shared_ptr<const Tokenizer> tokenizer,
                std::unique_ptr<ChatTemplate> chat_template, EngineSettings settings,
                const Clock& clock, Metrics& metrics)
        : runner_(std::move(runner)),
          tokenizer_(std::move(tokenizer)),
          chat_template_(std::move(chat_template)),
          settings_(std::move(settings)),
          clock_(clock),
          metrics_(metrics),
          scheduler_(*runner_,
                     StepPace(settings_.slice_ratio, uint64_t{settings_.step_ms_max} * 1000),
                     settings_.draft_tokens_max),
          thread_([this](std::stop_token stop) { run(stop); }) {}

    ~LocalEngine() override {
        thread_.request_stop();
        wake_.notify_all();
    }

    Expected<std::unique_ptr<Prepared>> prepare(const Request& request, std::stop_token) override {
        return prepare_request(request, *tokenizer_, chat_template_.get(), settings_,
                               runner_->capabilities(), clock_.unix_s());
    }
    std::shared_ptr<Generation> submit(std::unique_ptr<Prepared> prepared,
                                       const Admission& admission) override;

    Expected<std::vector<TokenId>> tokenize(std::string_view text, bool special) const override {
        return tokenizer_->encode(text, {.add_special = special, .parse_special = special});
    }
    Expected<std::string> detokenize(std::span<const TokenId> ids) const override {
        return tokenizer_->decode(ids);
    }
    const Capabilities& capabilities() const override { return runner_->capabilities(); }
    EngineState state() const override;
    void drain(int64_t until_us) override;

 private:
    void run(const std::stop_token& stop);
    void take_inbox();
    void end_cancelled_and_late();
    bool step();
    void tell_positions();
    bool accept(const Scheduler::Row& row, std::span<const Output> outputs, int64_t now);
    void add_token(Sequence& sequence, const Output& output, int64_t now);
    void finish(Sequence* sequence, const Finished& finished);
    void fail_answer(std::shared_ptr<Answer> answer, const Error& error, Keep keep);
    void fail_all(const Error& error);
    void report_outcome(Answer& answer, std::string_view outcome);
    void note_state();
    /// Every choice of every answer that waits. Under mutex_.
    uint32_t queued_now() const {
        uint32_t queued = state_.queued;
        for (const auto& answer : inbox_) queued += answer->choices_left;
        return queued;
    }
    Histogram& histogram(std::string_view name, std::string_view help) {
        return metrics_.histogram(name, help, {{"model", settings_.model}});
    }
    Counter& drafts(const char* kind) {
        return metrics_.counter("dunlin_draft_tokens_total",
                                "Guessed tokens: computed along, and of these the right ones",
                                {{"model", settings_.model}, {"kind", kind}});
    }
    Counter& tokens(const char* kind) {
        return metrics_.counter("dunlin_tokens_total", "Tokens by kind",
                                {{"model", settings_.model}, {"kind", kind}});
    }

    std::unique_ptr<Runner> runner_;
    const std::shared_ptr<const Tokenizer> tokenizer_;
    const std::unique_ptr<ChatTemplate> chat_template_;
    const EngineSettings settings_;
    const Clock& clock_;
    Metrics& metrics_;
    // Looked up once: observing a token must not search the registry.
    Histogram& queue_seconds_ =
        histogram("dunlin_queue_duration_seconds", "Time from arrival to the first computed token");
    Histogram& first_token_seconds_ =
        histogram("dunlin_time_to_first_token_seconds", "Time from arrival to the first token");
    Histogram& inter_token_seconds_ =
        histogram("dunlin_inter_token_seconds", "Time between two tokens of one answer");
    Histogram& inference_seconds_ =
        histogram("dunlin_inference_duration_seconds", "Time from arrival to the end of an answer");
    Counter& drafted_ = drafts("drafted");
    Counter& accepted_ = drafts("accepted");
    Scheduler scheduler_;  // the engine thread's alone

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable_any wake_, emptied_;
    std::vector<std::shared_ptr<Answer>> inbox_;
    EngineState state_;
    bool draining_ = false;
    std::optional<int64_t> drain_until_us_;
    int64_t work_since_us_ = 0;  // there is work, and no step has ended since; 0: there is none

    std::jthread thread_;  // last: starts when everything else is there
};

std::shared_ptr<Generation> LocalEngine::submit(std::unique_ptr<Prepared> prepared,
                                                const Admission& admission) {
    auto answer = std::make_shared<Answer>();
    answer->request.reset(static_cast<LocalPrepared*>(prepared.release()));
    answer->admission = admission;
    answer->submitted_us = clock_.now_us();
    answer->usage.prompt_tokens = answer->request->prompt_tokens();
    answer->choices_left = answer->request->request.choices;
    std::optional<Error> refusal;
    {
        const std::lock_guard lock(mutex_);
        const uint32_t queued = queued_now();
        if (draining_)
            refusal = {Code::NotReady, "the server is shutting down; try another one"};
        else if (queued + answer->choices_left > settings_.queue_max)
            refusal = {Code::Overloaded, "the queue of " + std::to_string(settings_.queue_max) +
                                             " requests is full; try again later"};
        else
            inbox_.push_back(answer);
    }
    if (refusal) {
        report_outcome(*answer, "refused");
        answer->log->append(Failed{std::move(*refusal), answer->usage});
    } else {
        wake_.notify_all();
    }
    return answer->log;
}

void LocalEngine::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        take_inbox();
        end_cancelled_and_late();
        const bool stepped = !scheduler_.idle() && step();
        tell_positions();
        note_state();
        std::unique_lock lock(mutex_);
        const auto arrived = [&] { return !inbox_.empty(); };
        if (!scheduler_.idle()) {
            if (!stepped) wake_.wait_for(lock, stop, kNoRoom, arrived);
            continue;
        }
        work_since_us_ = 0;
        if (arrived()) continue;
        emptied_.notify_all();
        wake_.wait(lock, stop, arrived);
    }
    take_inbox();
    fail_all({Code::NotReady, "the engine was stopped"});
}

void LocalEngine::take_inbox() {
    std::vector<std::shared_ptr<Answer>> arrived;
    {
        const std::lock_guard lock(mutex_);
        arrived.swap(inbox_);
        // Counted from now on, so that neither drain() nor the queue's limit misses them.
        for (const auto& answer : arrived) state_.queued += answer->choices_left;
    }
    for (const auto& answer : arrived)
        for (uint32_t choice = 0; choice < answer->request->request.choices; ++choice)
            scheduler_.enqueue(std::make_unique<Sequence>(answer, choice, *tokenizer_));
}

void LocalEngine::end_cancelled_and_late() {
    std::optional<int64_t> drain_until;
    {
        const std::lock_guard lock(mutex_);
        drain_until = drain_until_us_;
    }
    const int64_t now = clock_.now_us();
    if (drain_until && now >= *drain_until)
        return fail_all({Code::NotReady, "the server shut down before this answer was done"});
    std::vector<Sequence*> cancelled;
    std::vector<std::shared_ptr<Answer>> late;
    const auto look = [&](Sequence& sequence) {
        Answer& answer = sequence.answer();
        if (answer.log->cancelled())
            cancelled.push_back(&sequence);
        else if (answer.admission.deadline_us && now >= *answer.admission.deadline_us &&
                 (late.empty() || late.back().get() != &answer))
            late.push_back(sequence.shared_answer());
    };
    for (const auto& sequence : scheduler_.running()) look(*sequence);
    for (const auto& sequence : scheduler_.waiting()) look(*sequence);
    for (Sequence* sequence : cancelled) {
        if (!sequence->answer().started) {
            sequence->answer().started = true;
            sequence->answer().log->append(
                Started{sequence->answer().usage.prompt_tokens, 0, Reuse::FirstUse});
        }
        finish(sequence, {sequence->choice(), End::Cancelled, {}});
    }
    for (const auto& answer : late)
        fail_answer(answer, {Code::DeadlineExceeded, "the request's deadline has passed"},
                    Keep::Cached);
}

/// False where nothing could be computed, for want of room.
bool LocalEngine::step() {
    {
        const std::lock_guard lock(mutex_);
        if (work_since_us_ == 0) work_since_us_ = clock_.now_us();
    }
    std::vector<Scheduler::Refusal> refused;
    const auto rows = scheduler_.next(refused);
    for (const auto& refusal : refused)
        fail_answer(refusal.sequence->shared_answer(), refusal.error, Keep::Cached);
    if (rows.empty()) return false;

    const int64_t began = clock_.now_us();
    std::vector<Span> spans;
    for (const auto& row : rows) {
        spans.push_back(row.span);
        Answer& answer = row.sequence->answer();
        if (answer.started) continue;
        answer.started = true;
        answer.started_us = began;
        answer.timings.queue_ms = ms(began - answer.submitted_us);
        queue_seconds_.observe(seconds(began - answer.submitted_us));
        answer.log->append(
            Started{answer.usage.prompt_tokens, answer.usage.cached_tokens, answer.reuse});
    }
    const auto launched = runner_->launch({spans});
    const auto done =
        launched ? runner_->collect(*launched) : Expected<Step>(std::unexpected(launched.error()));
    {
        const std::lock_guard lock(mutex_);
        work_since_us_ = 0;
    }
    if (!done) {
        log_error("engine", "a step failed",
                  {{"model", settings_.model}, {"error", done.error().message}});
        std::vector<std::shared_ptr<Answer>> hit;
        for (const auto& row : rows)
            if (std::find(hit.begin(), hit.end(), row.sequence->shared_answer()) == hit.end())
                hit.push_back(row.sequence->shared_answer());
        for (const auto& answer : hit) fail_answer(answer, done.error(), Keep::Nothing);
        return true;
    }
    scheduler_.note(rows, done->compute_us);
    const int64_t now = clock_.now_us();
    auto outputs = done->outputs;
    std::vector<std::shared_ptr<Answer>> broken;
    for (const auto& row : rows) {
        const auto own = outputs.first(row.span.outputs);
        outputs = outputs.subspan(own.size());
        if (!own.empty() && !accept(row, own, now)) broken.push_back(row.sequence->shared_answer());
    }
    for (const auto& answer : broken)
        fail_answer(answer, {Code::Internal, "the model gave a number that is not finite"},
                    Keep::Nothing);
    return true;
}

/// To those that wait: at once, and when the place has changed, at most once a second.
void LocalEngine::tell_positions() {
    const int64_t now = clock_.now_us();
    uint32_t position = 0;
    const Answer* before = nullptr;
    for (const auto& sequence : scheduler_.waiting()) {
        Answer& answer = sequence->answer();
        if (&answer == before || answer.started) continue;  // a later choice, or one that gave way
        before = &answer;
        ++position;
        if (answer.position == position) continue;
        if (answer.position != 0 && now - answer.position_us < kPositionUs) continue;
        answer.position = position;
        answer.position_us = now;
        answer.log->append(Waiting{Waiting::For::Queue, position});
    }
}

/// Samples the outputs in order, as far as the row's guesses were right. False where one of these
/// is not finite.
bool LocalEngine::accept(const Scheduler::Row& row, std::span<const Output> outputs, int64_t now) {
    Sequence& sequence = *row.sequence;
    if (sequence.answer().request->answer_tokens_max == 0) {
        if (!outputs[0].finite) return false;
        finish(&sequence, {sequence.choice(), End::Length, {}});
        return true;
    }
    uint32_t sampled = 0;
    do {
        if (!outputs[sampled].finite) return false;
        add_token(sequence, outputs[sampled], now);
    } while (!sequence.finished() && row.continues(sampled++));
    const uint32_t right = scheduler_.settle(row);
    if (row.drafted() > 0) {
        drafted_.add(row.drafted());
        accepted_.add(right);
    }
    if (sequence.finished()) finish(&sequence, Finished(*sequence.finished()));
    return true;
}

void LocalEngine::add_token(Sequence& sequence, const Output& output, int64_t now) {
    Answer& answer = sequence.answer();
    if (answer.first_token_us == 0) {
        answer.first_token_us = now;
        answer.timings.prefill_ms = ms(now - answer.started_us);
        answer.timings.first_token_ms = ms(now - answer.submitted_us);
        first_token_seconds_.observe(seconds(now - answer.submitted_us));
    } else {
        inter_token_seconds_.observe(seconds(now - answer.last_token_us));
    }
    answer.last_token_us = now;
    ++answer.usage.completion_tokens;
    sequence.accept(output.logits, settings_.end_tokens);
    if (sequence.finished()) return;  // finish() takes the rest of the text
    if (auto text = sequence.take_text(false)) answer.log->append(std::move(*text));
}

void LocalEngine::finish(Sequence* sequence, const Finished& finished) {
    const auto owned = scheduler_.remove(sequence, Keep::Cached);
    Answer& answer = owned->answer();
    if (auto text = owned->take_text(true)) answer.log->append(std::move(*text));
    answer.log->append(finished);
    if (--answer.choices_left > 0) return;
    const int64_t now = clock_.now_us();
    if (answer.first_token_us != 0) answer.timings.decode_ms = ms(now - answer.first_token_us);
    report_outcome(answer, to_string(finished.end));
    answer.log->append(Done{answer.usage, answer.timings});
}

/// By value: the caller's pointer may belong to a sequence that goes away here.
void LocalEngine::fail_answer(std::shared_ptr<Answer> answer, const Error& error, Keep keep) {
    if (answer->choices_left == 0) return;  // another choice of it brought the failure already
    answer->choices_left = 0;
    std::vector<Sequence*> own;
    for (const auto& s : scheduler_.running())
        if (s->shared_answer() == answer) own.push_back(s.get());
    for (const auto& s : scheduler_.waiting())
        if (s->shared_answer() == answer) own.push_back(s.get());
    for (Sequence* sequence : own) scheduler_.remove(sequence, keep);
    report_outcome(*answer, to_string(error.code));
    answer->log->append(Failed{error, answer->usage});
}

void LocalEngine::fail_all(const Error& error) {
    while (!scheduler_.idle()) {
        const auto& first = scheduler_.running().empty() ? scheduler_.waiting().front()
                                                         : scheduler_.running().front();
        fail_answer(first->shared_answer(), error, Keep::Cached);
    }
}

void LocalEngine::report_outcome(Answer& answer, std::string_view outcome) {
    tokens("prompt").add(answer.usage.prompt_tokens);
    tokens("cached").add(answer.usage.cached_tokens);
    tokens("completion").add(answer.usage.completion_tokens);
    metrics_
        .counter("dunlin_requests_total", "Answers by how they ended",
                 {{"model", settings_.model}, {"outcome", std::string(outcome)}})
        .add();
    inference_seconds_.observe(seconds(clock_.now_us() - answer.submitted_us));
}

void LocalEngine::note_state() {
    const Room room = runner_->room();
    const std::lock_guard lock(mutex_);
    state_.running = static_cast<uint32_t>(scheduler_.running().size());
    state_.queued = static_cast<uint32_t>(scheduler_.waiting().size());
    state_.room = room;
}

EngineState LocalEngine::state() const {
    const std::lock_guard lock(mutex_);
    EngineState state = state_;
    state.queued = queued_now();
    state.ready = !draining_;
    state.stalled = work_since_us_ != 0 && clock_.now_us() - work_since_us_ > kStallUs;
    state.memory = runner_->memory();
    return state;
}

void LocalEngine::drain(int64_t until_us) {
    std::unique_lock lock(mutex_);
    draining_ = true;
    drain_until_us_ = until_us;
    wake_.notify_all();
    emptied_.wait(lock, [&] { return inbox_.empty() && state_.running + state_.queued == 0; });
}

}  // namespace

std::shared_ptr<Engine> make_engine(std::unique_ptr<Runner> runner,
                                    std::shared_ptr<const Tokenizer> tokenizer,
                                    std::unique_ptr<ChatTemplate> chat_template,
                                    EngineSettings settings, const Clock& clock, Metrics& metrics) {
    return std::make_shared<LocalEngine>(std::move(runner), std::move(tokenizer),
                                         std::move(chat_template), std::move(settings), clock,
                                         metrics);
}

}  // namespace dunlin
