#include "comm/point_to_point.h"

#include <map>
#include <string>

namespace tutti {
namespace {

// What a send and its receive must agree on.
uint16_t signature_of(const PointToPoint& call) {
  const uint64_t hash = (call.count * 0x9e3779b97f4a7c15u ^ static_cast<uint64_t>(call.type)) * 0xd6e8feb86659fd93u;
  return static_cast<uint16_t>(hash >> 48 | 1);
}

Region block(Buffer buffer, size_t index) {
  return {buffer, static_cast<uint32_t>(index), static_cast<uint32_t>(index + 1), 1};
}

// Pairs the k-th send to oneself with the k-th receive.
Status copy_to_self(std::span<const PointToPoint> calls, const std::vector<size_t>& sends, const std::vector<size_t>& recvs,
                    const std::vector<size_t>& block_of_call, std::vector<Instruction>& channel) {
  if (sends.size() != recvs.size()) {
    return {Code::kInvalidUsage, "this group sends to its own rank " + std::to_string(sends.size()) + " times and receives from it " +
                                     std::to_string(recvs.size()) + " times: pair them in one group"};
  }
  for (size_t k = 0; k < sends.size(); ++k) {
    const PointToPoint &from = calls[sends[k]], &to = calls[recvs[k]];
    if (from.count != to.count || from.type != to.type) {
      return {Code::kInvalidUsage, "a send to its own rank has " + std::to_string(from.count) + " x " + type_name(from.type) +
                                       ", the receive that meets it " + std::to_string(to.count) + " x " + type_name(to.type)};
    }
    channel.push_back({.src = block(Buffer::kInput, block_of_call[sends[k]]), .dst = block(Buffer::kOutput, block_of_call[recvs[k]])});
  }
  return {};
}

}  // namespace

Result<PointToPointPlan> plan_point_to_point(std::span<const PointToPoint> calls, int rank, int nranks) {
  PointToPointPlan plan;
  plan.program = {.collective = Collective::kSendRecv, .algorithm = "sendrecv", .nranks = nranks, .rank = rank};
  std::vector<size_t> block_of_call;
  std::map<std::pair<int, bool>, std::vector<size_t>> by_direction;
  for (size_t i = 0; i < calls.size(); ++i) {
    const PointToPoint& call = calls[i];
    std::vector<Block>& blocks = call.is_send ? plan.inputs : plan.outputs;
    block_of_call.push_back(blocks.size());
    blocks.push_back({.data = call.data, .elems = call.count * type_bytes(call.type), .signature = signature_of(call)});
    by_direction[{call.peer, call.is_send}].push_back(i);
  }
  for (const auto& [direction, indices] : by_direction) {
    const auto& [peer, is_send] = direction;
    if (peer == rank) continue;
    auto& channel = plan.program.channels.emplace_back();
    plan.program.fifo_of_channel.push_back(0);
    for (const size_t i : indices) {
      channel.push_back(is_send ? Instruction{.send_peer = peer, .src = block(Buffer::kInput, block_of_call[i])}
                                : Instruction{.recv_peer = peer, .dst = block(Buffer::kOutput, block_of_call[i])});
    }
  }
  auto& own = plan.program.channels.emplace_back();
  plan.program.fifo_of_channel.push_back(0);
  Status status = copy_to_self(calls, by_direction[{rank, true}], by_direction[{rank, false}], block_of_call, own);
  if (!status.ok()) return status;
  return plan;
}

}  // namespace tutti
