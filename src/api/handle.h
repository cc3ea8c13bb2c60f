// What a tuttiComm_t points to, and the guard around every entry point: checks the handle, stops exceptions, keeps the last error.
// Threading: as the entry points.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <string>

#include "base/status.h"
#include "comm/communicator.h"
#include "tutti/tutti.h"

// A live handle carries the magic; a destroyed one does not, which catches most stale handles.
struct tuttiComm {
  static constexpr uint32_t kMagic = 0x74636f6d;
  std::atomic<uint32_t> magic{kMagic};  // relaxed: a hint. Atomic, so that the compiler keeps the store before the delete
  std::unique_ptr<tutti::Communicator> comm;
};

namespace tutti {

inline tuttiComm_t make_handle(std::unique_ptr<Communicator> comm) {
  auto handle = std::make_unique<tuttiComm>();
  handle->comm = std::move(comm);
  return handle.release();
}

// The calling thread's last failed call without a communicator.
std::string& thread_error();

inline Status bad_argument(const std::string& message) {
  return {Code::kInvalidArgument, message};
}

// A refused call inside a group makes the whole group fail: passes `result` on.
tuttiResult_t refuse_in_group(tuttiResult_t result);

// Errors: kInvalidArgument.
Status check_handle(tuttiComm_t comm);

// Turns what `body` returns or throws into a result, and remembers its message. What an operation ended with its communicator has noted
// itself: by now tuttiCommAbort may have freed it. Only arguments are refused here.
template <class Body>
tuttiResult_t guarded(const char* function, tuttiComm_t comm, const Body& body) noexcept {
  try {
    Status status = body();
    if (status.ok()) return tuttiSuccess;
    const std::string message = std::string(function) + ": " + status.message();
    thread_error() = message;
    const bool refused = status.code() == Code::kInvalidArgument;
    if (refused && comm != nullptr && check_handle(comm).ok()) comm->comm->note_error({status.code(), message});
    return static_cast<tuttiResult_t>(status.code());
  } catch (const std::bad_alloc&) {
    thread_error() = "out of memory";  // short enough to need none
    return tuttiSystemError;
  } catch (...) {
    thread_error() = "internal error";
    return tuttiInternalError;
  }
}

// As guarded, for a call that needs a live communicator.
template <class Body>
tuttiResult_t guarded_on(const char* function, tuttiComm_t comm, const Body& body) noexcept {
  return guarded(function, comm, [&]() -> Status {
    if (Status status = check_handle(comm); !status.ok()) return status;
    return body(*comm->comm);
  });
}

}  // namespace tutti
