#include "tests/api/count_allocations.h"

#include <cerrno>
#include <cstdlib>

namespace {

thread_local size_t allocations = 0;
thread_local size_t to_fail = 0;  // 0: none; 1: the next

[[maybe_unused]] bool fails() {
  ++allocations;
  return to_fail != 0 && --to_fail == 0;
}

}  // namespace

void tutti::test::fail_allocation_of_this_thread(size_t which) {
  to_fail = which;
}

size_t tutti::test::allocations_of_this_thread() {
  return allocations;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// What glibc's own names stand for.
extern "C" {
void* __libc_malloc(size_t bytes);                      // NOLINT(readability-identifier-naming)
void* __libc_calloc(size_t count, size_t bytes);        // NOLINT(readability-identifier-naming)
void* __libc_realloc(void* old, size_t bytes);          // NOLINT(readability-identifier-naming)
void* __libc_memalign(size_t alignment, size_t bytes);  // NOLINT(readability-identifier-naming)
void __libc_free(void* p);                              // NOLINT(readability-identifier-naming)

void* malloc(size_t bytes) {
  return fails() ? nullptr : __libc_malloc(bytes);
}

void* calloc(size_t count, size_t bytes) {
  return fails() ? nullptr : __libc_calloc(count, bytes);
}

void* realloc(void* old, size_t bytes) {
  return fails() ? nullptr : __libc_realloc(old, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) {
  return fails() ? nullptr : __libc_memalign(alignment, bytes);
}

void* memalign(size_t alignment, size_t bytes) {
  return aligned_alloc(alignment, bytes);
}

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = aligned_alloc(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}

void free(void* p) {
  __libc_free(p);
}
}

#endif
