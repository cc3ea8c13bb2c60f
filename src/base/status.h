// How the library reports failure: a Status (code and sentence) or a Result<T> (a value or a Status).
// Invariant: an ok Status is a null pointer: it costs every function on the way of a call a register. Thread-safety: value types, no
// sharing.
#pragma once

#include <cassert>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "tutti/tutti.h"

namespace tutti {

// The codes are the API's, so that the C shim only casts.
enum class Code : int {
  kOk = tuttiSuccess,
  kSystem = tuttiSystemError,
  kInternal = tuttiInternalError,
  kInvalidArgument = tuttiInvalidArgument,
  kInvalidUsage = tuttiInvalidUsage,
  kRemote = tuttiRemoteError,
  kInProgress = tuttiInProgress,
  kTimeout = tuttiTimeout,
  kAborted = tuttiAborted,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : error_(new Error{code, std::move(message)}) { assert(code != Code::kOk); }
  Status(const Status& other) : error_(other.error_ ? new Error(*other.error_) : nullptr) {}
  Status(Status&&) noexcept = default;
  Status& operator=(const Status& other) { return *this = Status(other); }
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return error_ == nullptr; }
  Code code() const { return error_ ? error_->code : Code::kOk; }
  const std::string& message() const {
    static const std::string none;
    return error_ ? error_->message : none;
  }

 private:
  struct Error {
    Code code;
    std::string message;
  };
  std::unique_ptr<const Error> error_;
};

// A system call's failure as a sentence: "cannot <what>: <strerror>".
Status system_error(const std::string& what, int error_number);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                                  // NOLINT: implicit on purpose
  Result(Status status) : value_(std::move(status)) { assert(!std::get<Status>(value_).ok()); }  // NOLINT: implicit on purpose

  bool ok() const { return std::holds_alternative<T>(value_); }
  Status status() const { return ok() ? Status() : std::get<Status>(value_); }
  T& value() & { return std::get<T>(value_); }
  const T& value() const& { return std::get<T>(value_); }
  T&& value() && { return std::get<T>(std::move(value_)); }
  T* operator->() { return &value(); }
  T& operator*() { return value(); }

 private:
  std::variant<Status, T> value_;
};

}  // namespace tutti
