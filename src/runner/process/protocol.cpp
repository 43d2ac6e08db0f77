#include "runner/process/protocol.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <sys/socket.h>

#include "base/checked.h"

namespace dunlin::process {
namespace {

constexpr size_t kBytesMax = size_t{4} << 30;
constexpr size_t kLine = 64;  // each part begins with a cache line

}  // namespace

Expected<Layout> layout_of(const Capabilities& capabilities) {
    const size_t tokens = std::max(capabilities.sequence_tokens_max, capabilities.step_tokens_max);
    const size_t outputs = capabilities.step_outputs_max;
    Layout out{};
    size_t end = sizeof(Head);
    const auto place = [&](size_t count, size_t size) {
        const size_t begin = round_up(end, kLine);
        end = begin + count * size;
        return begin;
    };
    // None of the counts is above 2^32, so that only the logits can be too large.
    out.spans = place(capabilities.sequences_max, sizeof(SharedSpan));
    out.tokens = place(tokens, sizeof(TokenId));
    out.outputs = place(outputs, sizeof(SharedOutput));
    const auto floats = checked_mul(outputs, size_t{capabilities.vocabulary});
    if (!floats || *floats > kBytesMax / sizeof(float) || end > kBytesMax)
        return fail(Code::TooLarge,
                    "the memory that is shared with the model's process would be "
                    "above 4 GiB; allow fewer sequences or a shorter context");
    out.logits = place(*floats, sizeof(float));
    out.total = end;
    return out;
}

Expected<Shared> Shared::map(int fd, size_t bytes) {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return fail(Code::OutOfMemory, "cannot map " + std::to_string(bytes) +
                                           " bytes of shared memory: " + std::strerror(errno));
    Shared out;
    out.data_ = data;
    out.bytes_ = bytes;
    return out;
}

Shared::~Shared() {
    if (data_ != nullptr) munmap(data_, bytes_);
}
Shared::Shared(Shared&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
Shared& Shared::operator=(Shared&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

bool send_whole(int fd, const void* data, size_t size) {
    return send(fd, data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

bool receive_whole(int fd, void* data, size_t size) {
    ssize_t got = 0;
    do {
        errno = 0;
        got = recv(fd, data, size, MSG_TRUNC);  // the real length, also of a longer one
    } while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(size);
}

std::string last_words(const Head& head) {
    const std::string text(head.last_words, strnlen(head.last_words, kTextBytes));
    return text.empty() ? "" : ": " + text;
}

void set_failure(Failure& failure, const Error& error) {
    failure.failed = true;
    failure.code = error.code;
    const size_t length = std::min(error.message.size(), kTextBytes - 1);
    std::memcpy(failure.text, error.message.data(), length);
    failure.text[length] = '\0';
}

Error to_error(const Failure& failure) {
    return {failure.code, std::string(failure.text, strnlen(failure.text, kTextBytes))};
}

}  // namespace dunlin::process
