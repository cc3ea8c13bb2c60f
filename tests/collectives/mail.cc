#include "mail.h"

#include <algorithm>
#include <deque>
#include <map>

#include "random.h"

namespace tutti::test {
namespace {

constexpr size_t kGuardBytes = 64;

}  // namespace

RankMail::RankMail(const std::vector<Message>& messages, int rank, uint64_t order_seed) {
  // What lies between two ranks in one direction keeps its order.
  std::map<std::pair<int, bool>, std::deque<Call>> queues;
  std::vector<std::pair<int, bool>> turns;
  const auto add = [&](const Message& message, int peer, bool is_send) {
    queues[{peer, is_send}].push_back({.message = message, .is_send = is_send, .buffer = {}});
    turns.emplace_back(peer, is_send);
  };
  for (const Message& message : messages) {
    if (message.from == rank) add(message, message.to, true);
    if (message.to == rank) add(message, message.from, false);
  }
  Random random(order_seed);
  if (order_seed != 0) random.shuffle(turns);
  for (const auto& turn : turns) {
    calls_.push_back(std::move(queues[turn].front()));
    queues[turn].pop_front();
    calls_.back().buffer = DeviceBuffer(make_buffer(calls_.back(), false));
  }
}

// `arrived`: with the message's data in it, as a send has it from the beginning.
Bytes RankMail::make_buffer(const Call& call, bool arrived) {
  const size_t bytes = call.message.count * info_of(call.message.type).bytes;
  Bytes buffer(bytes + 2 * kGuardBytes, std::byte{0x5a});
  if (!call.is_send && !arrived) return buffer;
  const Bytes data = random_bytes(call.message.seed, bytes);
  std::copy(data.begin(), data.end(), buffer.begin() + kGuardBytes);
  return buffer;
}

tuttiResult_t RankMail::issue(size_t index, const Member& member, tuttiStream_t stream) {
  Call& call = calls_[index];
  const Message& message = call.message;
  call.buffer.move_to(member.device);
  std::byte* const data = call.buffer.data() + kGuardBytes;
  return call.is_send ? tuttiSend(data, message.count, message.type, message.to, member.comm, stream)
                      : tuttiRecv(data, message.count, message.type, message.from, member.comm, stream);
}

Finding RankMail::issue_all(const Member& member, const std::vector<tuttiStream_t>& streams) {
  for (size_t i = 0; i < calls_.size(); ++i) {
    const tuttiResult_t result = issue(i, member, calls_[i].is_send ? streams.front() : streams.back());
    if (result != tuttiSuccess) return expect_success(result, "send or receive " + std::to_string(i), member.comm);
  }
  return {};
}

Finding RankMail::check() const {
  for (const Call& call : calls_) {
    if (call.buffer.contents() == make_buffer(call, true)) continue;
    return std::string(call.is_send ? "the sent" : "the received") + " buffer of " + std::to_string(call.message.count) + " x " +
           info_of(call.message.type).name + " from rank " + std::to_string(call.message.from) + " to " + std::to_string(call.message.to) +
           " is wrong";
  }
  return {};
}

}  // namespace tutti::test
