#include "runner/process/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/process/protocol.h"

extern char** environ;

namespace dunlin::process {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);

/// Two ends of a socket, both closed on exec. False where there is none.
bool make_pair(std::array<int, 2>& ends) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return false;
    for (int& fd : ends) fd = above_childs(fd);
    return ends[0] >= 0 && ends[1] >= 0;
}

void close_all(std::initializer_list<int> fds) {
    for (const int fd : fds)
        if (fd >= 0) close(fd);
}

/// A group of its own, so that Ctrl-C on the terminal is the parent's affair; no signal blocked;
/// nothing open but the three descriptors and the standard ones.
int spawn(const std::vector<std::string>& command, std::array<int, 3> fds, pid_t& pid) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    for (size_t i = 0; i < fds.size(); ++i)
        posix_spawn_file_actions_adddup2(&files, fds[i], kCommandsFd + static_cast<int>(i));
    posix_spawn_file_actions_addclosefrom_np(&files, kSharedFd + 1);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    std::vector<char*> arguments;
    for (const std::string& argument : command)
        arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> variables;
    for (char** one = environ; *one != nullptr; ++one) variables.push_back(*one);
    std::string no_backtrace = "GGML_NO_BACKTRACE=1";  // the library would start a debugger
    variables.push_back(no_backtrace.data());
    variables.push_back(nullptr);
    const int error =
        posix_spawn(&pid, arguments[0], &files, &attributes, arguments.data(), variables.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

}  // namespace

int above_childs(int fd) {
    if (fd < 0) return fd;
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 2 * kSharedFd);
    close(fd);
    return moved;
}

Expected<std::unique_ptr<Child>> Child::start(const std::vector<std::string>& command,
                                              int shared_fd) {
    std::array<int, 2> commands{-1, -1}, cancels{-1, -1};
    if (!make_pair(commands) || !make_pair(cancels)) {
        close_all({commands[0], commands[1], cancels[0], cancels[1]});
        return fail(Code::Io, std::string("cannot make a socket for the model's process: ") +
                                  std::strerror(errno));
    }
    pid_t pid = 0;
    const int error = spawn(command, {commands[1], cancels[1], shared_fd}, pid);
    close_all({commands[1], cancels[1]});
    if (error != 0) {
        close_all({commands[0], cancels[0]});
        return fail(Code::Io, "cannot start " + command[0] + ": " + std::strerror(error));
    }
    return std::unique_ptr<Child>(new Child(pid, commands[0], cancels[0]));
}

Child::~Child() {
    close_all({commands_, cancels_});
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (pid_ != 0 && !wait(WNOHANG) && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    end();
}

bool Child::send(const void* data, size_t size) {
    return send_whole(commands_, data, size);
}
bool Child::receive(void* data, size_t size) {
    return receive_whole(commands_, data, size);
}

void Child::set_patience_ms(uint32_t ms) {
    const timeval patience{.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    setsockopt(commands_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(commands_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

bool Child::has_said_something() const {
    pollfd commands{commands_, POLLIN, 0};
    return poll(&commands, 1, 0) > 0;
}

void Child::cancel() noexcept {
    const char byte = 1;
    ::send(cancels_, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool Child::wait(int flags) {
    if (pid_ == 0) return true;
    pid_t done = 0;
    do {
        done = waitpid(pid_, &status_, flags);
    } while (done < 0 && errno == EINTR);
    if (done == 0) return false;
    pid_ = 0;
    return true;
}

std::string Child::end() {
    // What has just died may still be on its way out; its own reason is worth the moment.
    for (int i = 0; i < 100 && !wait(WNOHANG); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (pid_ != 0) {
        kill(pid_, SIGKILL);
        wait(0);
    }
    if (WIFSIGNALED(status_)) {
        const int number = WTERMSIG(status_);
        return "was ended by signal " + std::to_string(number) + " (" + strsignal(number) + ")";
    }
    return "ended with exit code " + std::to_string(WEXITSTATUS(status_));
}

}  // namespace dunlin::process
