// A plan as data: what an algorithm makes, and the executor, the verifier, the simulator and the tools read.
//
// Element space. A request's `count` is one *block*. Coordinates are exact rationals in blocks: [0, 1) is the whole input of an
// all-reduce, and rank 2's contribution to an all-gather's output is [2, 3). Elements appear only at launch (executor/launch.h), so one
// program serves every count; in the v-forms every block has a count of its own. A region lies inside one block, and the regions of one
// instruction, and of the two ends of one message, have the same fractional part: then both ends cut the same elements whatever the count.
//
// Order. A channel's instructions run in order, once for every slice of the element space; channels are independent but for
// `after`. The messages of one FIFO (FIFO channel, from, to) match in program order. A channel uses the FIFOs of its own index unless
// `fifo_of_channel` says otherwise; no two channels of a rank use the same end of a FIFO.
//
// Threading: immutable once built; share freely.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tutti {

enum class Collective : uint8_t {
  kAllReduce,      // input 1 block, output 1
  kAllGather,      // input 1, output n: block r is rank r's input
  kReduceScatter,  // input n, output 1: the reduction of all ranks' block `rank`
  kBroadcast,      // input 1 (the root's), output 1
  kReduce,         // input 1, output 1 (the root's)
  kGather,         // input 1, output n (the root's)
  kScatter,        // input n (the root's), output 1
  kAllToAll,       // input n: block r goes to rank r; output n: block r comes from rank r
  kBarrier,        // input 1, output 1, both without meaning: no rank ends before every rank has begun
  kSendRecv,       // a group's own sends and receives: input a block a send, output a block a receive (never from an Algorithm)
};
inline constexpr int kCollectives = 10;

// Whether its request has a root, and whether it reduces.
bool has_root(Collective collective);
bool reduces(Collective collective);

const char* collective_name(Collective collective);  // "all_reduce"; the tools' spelling

enum class Buffer : uint8_t { kNone, kInput, kOutput, kScratch };

const char* buffer_name(Buffer buffer);  // "none", "input", "output", "scratch"

// [begin/den, end/den) of a buffer, in blocks. kNone: no operand.
struct Region {
  Buffer buffer = Buffer::kNone;
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t den = 1;

  bool operator==(const Region&) const = default;
  bool none() const { return buffer == Buffer::kNone; }
};

inline constexpr int kNoPeer = -1;

// One step. With v = what arrives from `recv_peer`, or else `src`:
//   reduce: v = (arriving or, without a recv_peer, dst) reduced with src, or with src_first: src reduced with it (matters where
//   the reduction does not commute);
//   completes: v is the reduction of all ranks' inputs: what is done once to a result (an average's division) is done here. Every element
//   of every result passes exactly one such instruction, on the rank that computes it;
//   v is written to `dst` (unless none) and sent to `send_peer` (unless kNoPeer).
// So: send = src, send_peer; recv = recv_peer, dst; recv_reduce_copy_send = recv_peer, src, reduce, dst, send_peer; and so on; the names
// are MSCCL's (opcode_name).
struct Instruction {
  int recv_peer = kNoPeer;
  int send_peer = kNoPeer;
  bool reduce = false;
  bool src_first = false;
  bool completes = false;
  Region src;
  Region dst;
  // Waits until instruction `after_index` of channel `after_channel` (same rank, same slice) has completed. kNoPeer: no wait.
  int after_channel = -1;
  int after_index = -1;

  bool operator==(const Instruction&) const = default;
};

// "send", "recv", "recv_copy_send", "recv_reduce_send", "recv_reduce_copy", "recv_reduce_copy_send", "copy", "reduce", "nop"; or
// "malformed" for a combination that means nothing (the verifier refuses it).
const char* opcode_name(const Instruction& instruction);

// One rank's part of a plan.
struct Program {
  Collective collective = Collective::kAllReduce;
  std::string algorithm;
  int nranks = 0;
  int rank = 0;
  int root = 0;                 // ignored by collectives without one
  uint32_t scratch_blocks = 0;  // size of the scratch buffer, in blocks
  // No message of any rank is longer than largest_num/largest_den blocks. Equal on all ranks: slices are cut by it.
  uint32_t largest_num = 1;
  uint32_t largest_den = 1;
  std::vector<std::vector<Instruction>> channels;
  std::vector<int> fifo_of_channel;  // empty: each its own index

  int fifo(size_t channel) const { return fifo_of_channel.empty() ? static_cast<int>(channel) : fifo_of_channel[channel]; }
  bool operator==(const Program&) const = default;
};

// All ranks' programs together, ranks[r].rank == r. The range of sizes, in bytes of a block, that it is meant for: of plans that are
// imported; who makes or checks a plan pays no heed.
struct Plan {
  std::vector<Program> ranks;
  uint64_t min_bytes = 0;
  uint64_t max_bytes = kAnyBytes;

  static constexpr uint64_t kAnyBytes = std::numeric_limits<int64_t>::max();

  bool operator==(const Plan&) const = default;
};

// How many blocks a collective's input and output hold.
uint32_t input_blocks(Collective collective, int nranks);
uint32_t output_blocks(Collective collective, int nranks);

}  // namespace tutti
