#include "plan/semantics.h"

namespace tutti {

uint32_t input_blocks(Collective collective, int nranks, int root, int rank) {
  const bool at_root_only = collective == Collective::kBroadcast || collective == Collective::kScatter;
  return at_root_only && rank != root ? 0 : input_blocks(collective, nranks);
}

uint32_t output_blocks(Collective collective, int nranks, int root, int rank) {
  const bool at_root_only = collective == Collective::kReduce || collective == Collective::kGather;
  return at_root_only && rank != root ? 0 : output_blocks(collective, nranks);
}

Expected expected_output(Collective collective, int root, int rank, uint32_t output_block) {
  using Kind = Expected::Kind;
  switch (collective) {
    case Collective::kAllReduce:
    case Collective::kReduce: return {Kind::kReduction, 0, 0};
    case Collective::kReduceScatter: return {Kind::kReduction, 0, static_cast<uint32_t>(rank)};
    case Collective::kAllGather:
    case Collective::kGather: return {Kind::kCopy, static_cast<int>(output_block), 0};
    case Collective::kBroadcast: return {Kind::kCopy, root, 0};
    case Collective::kScatter: return {Kind::kCopy, root, static_cast<uint32_t>(rank)};
    case Collective::kAllToAll: return {Kind::kCopy, static_cast<int>(output_block), static_cast<uint32_t>(rank)};
    case Collective::kBarrier:
    case Collective::kSendRecv: break;
  }
  return {Kind::kAnything, 0, 0};
}

bool has_in_place(Collective collective) {
  return collective != Collective::kAllToAll && collective != Collective::kBarrier && collective != Collective::kSendRecv;
}

InPlaceLayout in_place_layout(Collective collective, int root, int rank) {
  const auto block = static_cast<uint32_t>(rank);
  switch (collective) {
    case Collective::kAllGather: return {block, 0};
    case Collective::kReduceScatter: return {0, block};
    // At the other ranks the two buffers are one block together.
    case Collective::kGather: return {rank == root ? block : 0, 0};
    case Collective::kScatter: return {0, rank == root ? block : 0};
    default: return {0, 0};
  }
}

bool has_uneven(Collective collective) {
  return collective == Collective::kAllGather || collective == Collective::kReduceScatter || collective == Collective::kGather ||
         collective == Collective::kScatter || collective == Collective::kAllToAll;
}

ExchangeBlock exchange_block(Collective collective, int rank, Buffer buffer, uint32_t block) {
  const int other = static_cast<int>(block);
  const bool input = buffer == Buffer::kInput;
  switch (collective) {
    case Collective::kAllGather:
    case Collective::kGather: return {input ? rank : other, -1};
    case Collective::kReduceScatter:
    case Collective::kScatter: return {-1, input ? other : rank};
    case Collective::kAllToAll: return input ? ExchangeBlock{rank, other} : ExchangeBlock{other, rank};
    default: return {};
  }
}

}  // namespace tutti
