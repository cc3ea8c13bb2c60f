#include "comm/call_log.h"

#include <algorithm>

#include "comm/request.h"

namespace tutti {
namespace {

constexpr uint64_t kScale = 1, kDivide = 2, kUser = 4, kUneven = 8, kOrdered = 16;  // flags

}  // namespace

bool is_a_call(const CallShape& shape) {
  return shape.kinds >> 56 < kCollectives && (shape.kinds >> 48 & 0xff) < kDataTypes && (shape.kinds >> 40 & 0xff) < kReductions;
}

CallShape shape_of(const Request& request) {
  const ReductionCall& reduction = request.reduction;
  const uint64_t flags = (reduction.scale ? kScale : 0) | (reduction.divide ? kDivide : 0) |
                         (reduction.user.function != nullptr ? kUser : 0) | (request.uneven ? kUneven : 0) |
                         (reduction.commutes ? 0 : kOrdered);
  const uint64_t kinds = static_cast<uint64_t>(request.collective) << 56 | static_cast<uint64_t>(reduction.arithmetic.type) << 48 |
                         static_cast<uint64_t>(reduction.arithmetic.op) << 40 | flags << 32 | static_cast<uint32_t>(request.root);
  return {.kinds = kinds, .count = request.uneven ? request.agreed_bytes.value_or(0) : request.count};
}

std::string describe_call(const CallShape& shape, uint64_t number) {
  const auto collective = static_cast<Collective>(shape.kinds >> 56);
  const auto type = static_cast<DataType>(shape.kinds >> 48 & 0xff);
  const auto op = static_cast<Reduction>(shape.kinds >> 40 & 0xff);
  const uint64_t flags = shape.kinds >> 32 & 0xff;
  std::string text = std::string(collective_name(collective)) + " number " + std::to_string(number + 1);
  if (collective == Collective::kBarrier) return text;
  text += " (";
  if ((flags & kUneven) == 0) {
    text += std::to_string(shape.count) + " x ";
  } else if (shape.count != 0) {
    text += std::to_string(shape.count / type_bytes(type)) + " in all x ";
  } else {
    text += "uneven x ";
  }
  text += type_name(type);
  if (reduces(collective)) {
    text += ", ";
    text += (flags & kUser) != 0 ? "user" : (flags & kDivide) != 0 ? "avg" : (flags & kScale) != 0 ? "premulsum" : reduction_name(op);
  }
  if (has_root(collective)) text += ", root " + std::to_string(static_cast<int>(shape.kinds & 0xffff'ffff));
  return text + ")";
}

std::optional<LoggedCall> CallLog::read(const Slot& slot) {
  const uint64_t stamp = slot.stamp.load(std::memory_order_acquire);
  LoggedCall call{.number = (stamp >> 1) - 1, .ended = (stamp & 1) != 0};
  call.shape.kinds = slot.kinds.load(std::memory_order_acquire);
  call.shape.count = slot.count.load(std::memory_order_acquire);
  call.choice = slot.choice.load(std::memory_order_acquire);
  // The same call, even if it has ended meanwhile.
  if (stamp == 0 || slot.stamp.load(std::memory_order_relaxed) >> 1 != stamp >> 1) return std::nullopt;
  return call;
}

std::optional<LoggedCall> CallLog::find(uint64_t number) const {
  const std::optional<LoggedCall> call = read(slots_[number % kKept]);
  return call && call->number == number ? call : std::nullopt;
}

std::vector<LoggedCall> CallLog::all() const {
  std::vector<LoggedCall> calls;
  for (const Slot& slot : slots_) {
    if (const std::optional<LoggedCall> call = read(slot)) calls.push_back(*call);
  }
  std::sort(calls.begin(), calls.end(), [](const LoggedCall& a, const LoggedCall& b) { return a.number < b.number; });
  return calls;
}

std::optional<LoggedCall> CallLog::latest() const {
  const std::vector<LoggedCall> calls = all();
  return calls.empty() ? std::nullopt : std::optional(calls.back());
}

}  // namespace tutti
