// Nameless shared memory: a memfd, or where there is none an unlinked file in /dev/shm or /tmp. It has no name in any file system, so
// nothing is left behind however its users end, and a small or missing /dev/shm does not matter. It is handed to another process as a
// descriptor.
// Threading: value types.
#pragma once

#include <cstddef>

#include "base/fd.h"
#include "base/status.h"

namespace tutti::shm {

// A mapped range of a segment. Move-only.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // `offset` is a multiple of the page size.
  static Result<Mapping> map(int fd, size_t offset, size_t bytes);

  std::byte* data() const { return data_; }

 private:
  Mapping(std::byte* data, size_t bytes) : data_(data), bytes_(bytes) {}

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

enum class Backing { kAny, kMemfd, kDevShm, kTmp };

// A segment of `bytes` zeroed bytes, none of them allocated yet. kAny takes the first that works.
Result<Fd> create_segment(size_t bytes, Backing backing = Backing::kAny);

// Allocates the pages of a range now, so that a full memory is an error here and not a SIGBUS later.
Status reserve(int fd, size_t offset, size_t bytes);

}  // namespace tutti::shm
