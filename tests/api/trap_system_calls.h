// Catches and counts the system calls of one thread, by seccomp: a caught call does nothing and returns ENOSYS. For good: only in a
// process that ends soon after, by _exit.
#pragma once

namespace tutti::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCanTrapSystemCalls = false;  // the sanitizer's runtime makes some of its own, the end of the process included
#else
inline constexpr bool kCanTrapSystemCalls = true;
#endif

// From now on the calling thread's system calls are caught, but for the end of the process and the return from a signal. False where the
// kernel does not allow that.
bool trap_system_calls();

int trapped_system_calls();       // so far
int first_trapped_system_call();  // its number, or -1

}  // namespace tutti::test
