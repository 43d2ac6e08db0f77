#pragma once

namespace dunlin {

/// Prints the broken promise with its place and aborts. Never returns.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace dunlin

/// For bugs only: states what the code around it relies on, in every build. What a file, a client
/// or the machine can cause is an Error instead, so no request can reach an abort.
#define CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::dunlin::check_failed(#condition, __FILE__, __LINE__))

/// A CHECK for inner loops: compiled out of release builds.
#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(sizeof(condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif
