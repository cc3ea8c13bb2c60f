// The executor's part for asynchronous devices: instructions are issued to a queue, stay pending, and take effect on FIFOs and cursors when
// the device has finished them. User reductions on memory that the host cannot touch pass through host memory.
// Threading: as executor.h.
#include <algorithm>

#include "executor/executor.h"

namespace tutti {
namespace {

// Devices have few queues; channels beyond these share them, and wait for one another there.
constexpr size_t kMostQueues = kMaxChannels;

}  // namespace

Status Executor::make_queues(size_t channels) {
  if (immediate_ != nullptr) return {};
  while (queues_.size() < std::min(channels, kMostQueues)) {
    Result<std::unique_ptr<DeviceQueue>> queue = device_.make_queue();
    if (!queue.ok()) return queue.status();
    queues_.push_back(std::move(*queue));
  }
  return {};
}

void Executor::prepare_queues(const Launch& launch) {
  const size_t channels = launch.channels.size();
  pending_.assign(std::max(pending_.size(), channels), {});
  if (operands_->user == nullptr || has(device_, kDeviceHostTouches)) return;
  // Whole lines, so that every message there is aligned for its elements.
  staged_bytes_ = (launch.message_bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
  const size_t bytes = 2 * channels * staged_bytes_ + kLineBytes;
  if (staging_.size() < bytes) staging_.resize(bytes);
}

Executor::Outcome Executor::issue(const Step& step, Span span, size_t channel) {
  const bool staged = step.reduce && operands_->user != nullptr && !has(device_, kDeviceHostTouches);
  pending_[channel] = {.stage = staged ? Stage::kStaging : Stage::kLast, .span = span};
  staged ? stage_operands(step, span, channel) : move_data(step, span, queue_of(channel));
  return Outcome::kIssued;
}

Executor::Outcome Executor::go_on(const Step& step, size_t channel) {
  const QueueState state = queue_of(channel).state();
  if (state == QueueState::kBusy) return Outcome::kBlocked;
  if (state == QueueState::kFailed) {
    failed_ = static_cast<int>(channel);
    return Outcome::kDeviceFailed;
  }
  Pending& pending = pending_[channel];
  if (pending.stage == Stage::kStaging) {
    reduce_staged(step, pending.span, channel);
    pending.stage = Stage::kLast;
    return Outcome::kIssued;
  }
  pending.stage = Stage::kNothing;
  if (step.recv != nullptr) step.recv->release();
  if (step.send != nullptr) step.send->post(pending.span.signature, static_cast<uint32_t>(pending.span.elems * elem_bytes_));
  return Outcome::kRan;
}

// Where a user's reduction finds its operands: what arrived lies in host memory already, the rest comes to the channel's two places.
Executor::Staged Executor::staged_of(const Step& step, size_t channel) {
  const auto start = reinterpret_cast<uintptr_t>(staging_.data());
  std::byte* const places = staging_.data() + (kLineBytes - start % kLineBytes) % kLineBytes + 2 * channel * staged_bytes_;
  std::byte* const src = places;
  const std::byte* const held = step.recv != nullptr ? step.recv->payload() : places + staged_bytes_;
  Staged staged = {.left = held, .right = src, .result = step.send != nullptr ? step.send->payload() : src};
  if (step.src_first) std::swap(staged.left, staged.right);
  return staged;
}

void Executor::stage_operands(const Step& step, const Span& span, size_t channel) {
  const Staged staged = staged_of(step, channel);
  const size_t bytes = span.elems * elem_bytes_;
  const std::byte* const src = step.src_first ? staged.left : staged.right;
  const std::byte* const held = step.src_first ? staged.right : staged.left;
  queue_of(channel).copy({.first = const_cast<std::byte*>(src)}, span.src, bytes);
  if (step.recv == nullptr) queue_of(channel).copy({.first = const_cast<std::byte*>(held)}, span.dst, bytes);
}

void Executor::reduce_staged(const Step& step, const Span& span, size_t channel) {
  const Staged staged = staged_of(step, channel);
  const UserReduction& user = *operands_->user;
  user.function(staged.left, staged.right, staged.result, span.elems, user.datatype, user.context);
  if (span.dst != nullptr) queue_of(channel).copy({.first = span.dst}, staged.result, span.elems * elem_bytes_);
}

Status Executor::settle(double bound_s) {
  Status status;
  for (const std::unique_ptr<DeviceQueue>& queue : queues_) {
    if (Status waited = wait_for(*queue, device_, bound_s); status.ok()) status = std::move(waited);
    if (!status.ok()) bound_s = 0;
  }
  if (status.ok()) {
    for (Pending& pending : pending_) pending.stage = Stage::kNothing;
  }
  return status;
}

std::string Executor::device_failure() const {
  return std::string("device ") + device_.name() + ": " + queue_of(static_cast<size_t>(failed_)).failure();
}

}  // namespace tutti
