#include "transports/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

namespace tutti::shm {
namespace {

Fd open_backing(Backing backing) {
  switch (backing) {
    case Backing::kMemfd: return Fd(memfd_create("tutti", MFD_CLOEXEC));
    case Backing::kDevShm: return Fd(open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600));
    case Backing::kTmp: return Fd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600));
    case Backing::kAny: break;
  }
  for (const Backing each : {Backing::kMemfd, Backing::kDevShm, Backing::kTmp}) {
    if (Fd fd = open_backing(each)) return fd;
  }
  return Fd();
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

Result<Mapping> Mapping::map(int fd, size_t offset, size_t bytes) {
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return system_error("map " + std::to_string(bytes) + " bytes of shared memory", errno);
  return Mapping(static_cast<std::byte*>(data), bytes);
}

Result<Fd> create_segment(size_t bytes, Backing backing) {
  Fd fd = open_backing(backing);
  if (!fd) return system_error("create shared memory (tried memfd, /dev/shm and /tmp)", errno);
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return system_error("size shared memory", errno);
  return fd;
}

Status reserve(int fd, size_t offset, size_t bytes) {
  int result = 0;
  do {
    result = fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  return system_error(
      "reserve " + std::to_string(bytes) + " bytes of shared memory (free memory, or lower TUTTI_SLOTS or TUTTI_SLOT_BYTES)", errno);
}

}  // namespace tutti::shm
