// Counts what a thread allocates: this program's malloc and its kin forward to glibc's. Not under a sanitizer, which has its own.
#pragma once

#include <cstddef>

namespace tutti::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCanCountAllocations = false;
#else
inline constexpr bool kCanCountAllocations = true;
#endif

// Allocations of the calling thread so far, of any kind (operator new is malloc underneath).
size_t allocations_of_this_thread();
// Of the calling thread's allocations to come, this one fails, once: 1 is the next; 0: none.
void fail_allocation_of_this_thread(size_t which);

}  // namespace tutti::test
