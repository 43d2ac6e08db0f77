#include "runner/process/host.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/last_words.h"
#include "base/log.h"
#include "runner/process/protocol.h"

namespace dunlin::process {
namespace {

constexpr int kWatchMs = 100;

class Host {
 public:
    Host(std::unique_ptr<Runner> runner, Shared shared, const Layout& layout)
        : runner_(std::move(runner)), shared_(std::move(shared)), layout_(layout) {}

    Reply handle(const Command& command) {
        Reply reply;
        if (!allowed(command)) {
            set_failure(reply.failure, {Code::Internal, "a command that makes no sense"});
            return reply;
        }
        run(command, reply);
        reply.room = runner_->room();
        note();
        return reply;
    }

    /// [any thread] Passes a cancel on, where one has come, and tells how it goes.
    void look(bool cancelled) {
        char byte = 0;
        if (cancelled && read(kCancelsFd, &byte, 1) == 1) runner_->cancel();
        note();
    }

 private:
    bool allowed(const Command& command) const {
        const Capabilities& can = runner_->capabilities();
        return command.op == Op::Open   ? command.count <= can.sequence_tokens_max
               : command.op == Op::Step ? command.count <= can.sequences_max
                                        : true;
    }

    void run(const Command& command, Reply& reply) {
        const SeqId seq = command.seq;
        switch (command.op) {
            case Op::Open:
                return give(runner_->open({command.domain,
                                           shared_.at<TokenId>(layout_.tokens, command.count),
                                           command.amount}),
                            reply);
            case Op::Match:
                reply.match = runner_->match(seq);
                return;
            case Op::Fork:
                return give(runner_->fork(seq, command.amount), reply);
            case Op::Reserve:
                reply.value = runner_->reserve(seq, command.amount) ? 1 : 0;
                return;
            case Op::Trim:
                reply.value = runner_->trim(seq, command.amount);
                return;
            case Op::Close:
                return runner_->close(seq, static_cast<Keep>(command.amount));
            case Op::Length:
                reply.value = runner_->length(seq);
                return;
            case Op::Step:
                return step(command.count, reply);
        }
    }

    static void give(const Expected<SeqId>& seq, Reply& reply) {
        if (seq)
            reply.value = *seq;
        else
            set_failure(reply.failure, seq.error());
    }

    void step(uint32_t count, Reply& reply) {
        const Capabilities& can = runner_->capabilities();
        const auto given = shared_.at<const SharedSpan>(layout_.spans, count);
        auto tokens = shared_.at<const TokenId>(layout_.tokens, can.step_tokens_max);
        std::vector<Span> spans;
        for (const SharedSpan& span : given) {
            const auto own = tokens.first(std::min<size_t>(span.tokens, tokens.size()));
            spans.push_back({span.seq, own, span.outputs, span.parts});
            tokens = tokens.subspan(own.size());
            // The parent counts on what must be there, without asking for each token.
            if (!runner_->reserve(span.seq, span.tokens))
                return set_failure(reply.failure, {Code::NoRoom, "there is no room for the step"});
        }
        const auto launched = runner_->launch({spans});
        const auto done = launched ? runner_->collect(*launched)
                                   : Expected<Step>(std::unexpected(launched.error()));
        if (!done) return set_failure(reply.failure, done.error());
        reply.compute_us = done->compute_us;
        for (const Output& output : done->outputs) put(output, reply.outputs++);
    }

    void put(const Output& output, uint32_t at) {
        const size_t width = runner_->capabilities().vocabulary;
        shared_.at<SharedOutput>(layout_.outputs, at + 1)[at] = {output.seq, output.position,
                                                                 output.finite ? 1U : 0U};
        std::copy(output.logits.begin(), output.logits.end(),
                  shared_.at<float>(layout_.logits, (at + 1) * width).begin() +
                      static_cast<long>(at * width));
    }

    void note() {
        const MemoryReport memory = runner_->memory();
        Head& head = shared_.head();
        head.progress.store(runner_->progress(), std::memory_order_relaxed);
        head.weights.store(memory.weights_bytes, std::memory_order_relaxed);
        head.kv_total.store(memory.kv_total_bytes, std::memory_order_relaxed);
        head.kv_used.store(memory.kv_used_bytes, std::memory_order_relaxed);
        head.kv_cached.store(memory.kv_cached_bytes, std::memory_order_relaxed);
        head.scratch.store(memory.scratch_bytes, std::memory_order_relaxed);
        head.device.store(memory.device_bytes, std::memory_order_relaxed);
    }

    std::unique_ptr<Runner> runner_;
    Shared shared_;
    const Layout layout_;
};

/// A thread of its own: ends the process with the parent, whatever the other thread is in the
/// middle of, be it loading; once there is a host it looks after that. No cancel comes before.
void watch(const std::atomic<Host*>& host) {
    std::thread([&host] {
        while (true) {
            pollfd both[] = {{kCancelsFd, POLLIN, 0}, {kCommandsFd, 0, 0}};
            poll(both, 2, kWatchMs);
            if (((both[0].revents | both[1].revents) & (POLLHUP | POLLERR)) != 0) _exit(0);
            if (Host* made = host.load()) made->look((both[0].revents & POLLIN) != 0);
        }
    }).detach();
}

/// The shared memory, made large enough for what this Runner can.
Expected<std::pair<Shared, Layout>> share(const Capabilities& capabilities) {
    const auto layout = layout_of(capabilities);
    if (!layout) return std::unexpected(layout.error());
    const off_t now = lseek(kSharedFd, 0, SEEK_END);
    if (now < static_cast<off_t>(layout->total) &&
        ftruncate(kSharedFd, static_cast<off_t>(layout->total)) != 0)
        return fail(Code::OutOfMemory, "no room for the shared memory");
    auto shared = Shared::map(kSharedFd, layout->total);
    if (!shared) return std::unexpected(shared.error());
    return std::pair(std::move(*shared), *layout);
}

int refuse(const Error& error) {
    Hello hello;
    set_failure(hello.failure, error);
    return send_whole(kCommandsFd, &hello, sizeof hello) ? 0 : 1;
}

int serve(const std::function<Expected<std::unique_ptr<Runner>>(std::string_view spec)>& make) {
    const auto first = Shared::map(kSharedFd, sizeof(Head));
    if (!first) return 1;
    keep_last_words(first->head().last_words);
    std::string spec(kSpecBytesMax, '\0');
    const ssize_t got = recv(kCommandsFd, spec.data(), spec.size(), 0);
    if (got <= 0) return 1;
    spec.resize(static_cast<size_t>(got));

    static std::atomic<Host*> made{nullptr};
    watch(made);
    auto runner = make(spec);
    if (!runner) return refuse(runner.error());
    auto shared = share((*runner)->capabilities());
    if (!shared) return refuse(shared.error());
    Hello hello;
    hello.capabilities = (*runner)->capabilities();
    hello.room = (*runner)->room();
    Host host(std::move(*runner), std::move(shared->first), shared->second);
    made = &host;
    if (!send_whole(kCommandsFd, &hello, sizeof hello)) _exit(1);
    Command command;
    while (receive_whole(kCommandsFd, &command, sizeof command)) {
        const Reply reply = host.handle(command);
        if (!send_whole(kCommandsFd, &reply, sizeof reply)) break;
    }
    _exit(0);  // without taking apart the host, which the watching thread uses until the end
}

}  // namespace
}  // namespace dunlin::process

namespace dunlin {

int host_runner(
    const std::function<Expected<std::unique_ptr<Runner>>(std::string_view spec)>& make) {
    return process::serve(make);
}

}  // namespace dunlin
