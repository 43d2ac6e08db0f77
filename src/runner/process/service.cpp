// A question and its answer are each a text: its length, then pieces that a socket which keeps
// messages whole takes at once. Before the first question the child says whether it could start.
#include "runner/process/service.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <poll.h>
#include <unistd.h>

#include "base/last_words.h"
#include "base/log.h"
#include "runner/process/child.h"
#include "runner/process/protocol.h"
#include "runner/process/shared_file.h"

namespace dunlin {
namespace process {
namespace {

constexpr size_t kTextBytesMax = size_t{64} << 20;
constexpr size_t kPieceBytes = size_t{64} << 10;

bool send_text(int fd, std::string_view text) {
    const uint64_t size = text.size();
    bool sent = send_whole(fd, &size, sizeof size);
    for (; sent && !text.empty(); text.remove_prefix(std::min(kPieceBytes, text.size())))
        sent = send_whole(fd, text.data(), std::min(kPieceBytes, text.size()));
    return sent;
}

bool receive_text(int fd, std::string& text) {
    uint64_t size = 0;
    if (!receive_whole(fd, &size, sizeof size) || size > kTextBytesMax) return false;
    text.resize(size);
    for (size_t at = 0; at < size; at += kPieceBytes)
        if (!receive_whole(fd, text.data() + at, std::min(kPieceBytes, size - at))) return false;
    return true;
}

bool send_failure(const Error& error) {
    Failure failure;
    set_failure(failure, error);
    return send_whole(kCommandsFd, &failure, sizeof failure);
}

/// Ends the process with its parent, whatever the other thread is in the middle of.
void end_with_parent() {
    std::thread([] {
        pollfd parent{kCancelsFd, 0, 0};
        while (poll(&parent, 1, -1) <= 0) {
        }
        _exit(0);
    }).detach();
}

int serve(const std::function<Expected<AnswerText>(std::string_view spec)>& make) {
    const auto shared = Shared::map(kSharedFd, sizeof(Head));
    if (!shared) return 1;
    keep_last_words(shared->head().last_words);
    end_with_parent();
    std::string text;
    if (!receive_text(kCommandsFd, text)) return 1;
    const auto answer = make(text);
    if (!answer) return send_failure(answer.error()) ? 0 : 1;
    const Failure none;
    if (!send_whole(kCommandsFd, &none, sizeof none)) return 1;
    while (receive_text(kCommandsFd, text)) {
        auto said = (*answer)(text);
        if (said && said->size() > kTextBytesMax)
            said = fail(Code::TooLarge, "the answer is above 64 MiB");
        const bool sent =
            said ? send_whole(kCommandsFd, &none, sizeof none) && send_text(kCommandsFd, *said)
                 : send_failure(said.error());
        if (!sent) return 1;
    }
    return 0;
}

}  // namespace
}  // namespace process

struct Service::Running {
    std::unique_ptr<process::Child> child;
    process::Shared memory;
};

Service::Service(ProcessSettings settings, uint32_t patience_ms)
    : settings_(std::move(settings)), patience_ms_(patience_ms) {}
Service::~Service() = default;

Expected<void> Service::start() {
    const process::SharedFile file;
    if (!file.usable())
        return fail(Code::Io, "no shared memory for the process of " + settings_.name + ": " +
                                  std::strerror(errno));
    auto memory = process::Shared::map(file.fd(), sizeof(process::Head));
    if (!memory) return std::unexpected(memory.error());
    auto child = process::Child::start(settings_.command, file.fd());
    if (!child) return std::unexpected(child.error());
    (*child)->set_patience_ms(patience_ms_);
    running_ = std::make_unique<Running>(std::move(*child), std::move(*memory));
    const int fd = running_->child->commands();
    process::Failure failure;
    if (!process::send_text(fd, settings_.spec) ||
        !process::receive_whole(fd, &failure, sizeof failure))
        return lost(" while it started");
    if (!failure.failed) return {};
    running_.reset();
    return std::unexpected(process::to_error(failure));
}

std::unexpected<Error> Service::lost(const char* doing) {
    const bool late = errno == EAGAIN || errno == EWOULDBLOCK;
    std::string how = "the process of " + settings_.name +
                      (late ? " gave no sign for " + std::to_string(patience_ms_) + " ms"
                            : " " + running_->child->end()) +
                      doing + process::last_words(running_->memory.head());
    running_.reset();
    log_error("service", how);
    return fail(Code::DeviceLost, std::move(how));
}

Expected<std::string> Service::ask(std::string_view question) {
    if (question.size() > process::kTextBytesMax)
        return fail(Code::TooLarge, "a text for " + settings_.name + " is above 64 MiB");
    const std::lock_guard lock(mutex_);
    // One that has ended meanwhile, with nothing asked, is started again without a word.
    if (running_ && !process::send_text(running_->child->commands(), question)) lost("");
    if (!running_) {
        if (auto up = start(); !up) return std::unexpected(up.error());
        if (!process::send_text(running_->child->commands(), question)) return lost("");
    }
    return take_answer();
}

Expected<std::string> Service::take_answer() {
    const int fd = running_->child->commands();
    process::Failure failure;
    std::string answer;
    if (!process::receive_whole(fd, &failure, sizeof failure) ||
        (!failure.failed && !process::receive_text(fd, answer)))
        return lost("");
    if (failure.failed) return std::unexpected(process::to_error(failure));
    return answer;
}

int host_service(const std::function<Expected<AnswerText>(std::string_view spec)>& make) {
    return process::serve(make);
}

}  // namespace dunlin
