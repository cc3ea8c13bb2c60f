#include "plan/program.h"

#include "plan/request.h"

namespace tutti {

const char* collective_name(Collective collective) {
  switch (collective) {
    case Collective::kAllReduce: return "all_reduce";
    case Collective::kAllGather: return "all_gather";
    case Collective::kReduceScatter: return "reduce_scatter";
    case Collective::kBroadcast: return "broadcast";
    case Collective::kReduce: return "reduce";
    case Collective::kGather: return "gather";
    case Collective::kScatter: return "scatter";
    case Collective::kAllToAll: return "alltoall";
    case Collective::kBarrier: return "barrier";
    case Collective::kSendRecv: return "sendrecv";
  }
  return "unknown";
}

bool has_root(Collective collective) {
  return collective == Collective::kBroadcast || collective == Collective::kReduce || collective == Collective::kGather ||
         collective == Collective::kScatter;
}

bool reduces(Collective collective) {
  return collective == Collective::kAllReduce || collective == Collective::kReduceScatter || collective == Collective::kReduce;
}

const char* buffer_name(Buffer buffer) {
  switch (buffer) {
    case Buffer::kNone: return "none";
    case Buffer::kInput: return "input";
    case Buffer::kOutput: return "output";
    case Buffer::kScratch: return "scratch";
  }
  return "unknown";
}

const char* opcode_name(const Instruction& instruction) {
  const bool recv = instruction.recv_peer != kNoPeer;
  const bool send = instruction.send_peer != kNoPeer;
  const bool src = !instruction.src.none();
  const bool dst = !instruction.dst.none();
  if (instruction.reduce) {
    if (!src) return "malformed";
    if (recv) return send ? (dst ? "recv_reduce_copy_send" : "recv_reduce_send") : (dst ? "recv_reduce_copy" : "malformed");
    return dst && !send ? "reduce" : "malformed";
  }
  if (recv) return src ? "malformed" : send ? (dst ? "recv_copy_send" : "recv_send") : (dst ? "recv" : "malformed");
  if (src) return send ? (dst ? "copy_send" : "send") : (dst ? "copy" : "malformed");
  return !send && !dst ? "nop" : "malformed";
}

uint32_t input_blocks(Collective collective, int nranks) {
  switch (collective) {
    case Collective::kReduceScatter:
    case Collective::kScatter:
    case Collective::kAllToAll: return static_cast<uint32_t>(nranks);
    default: return 1;
  }
}

uint32_t output_blocks(Collective collective, int nranks) {
  switch (collective) {
    case Collective::kAllGather:
    case Collective::kGather:
    case Collective::kAllToAll: return static_cast<uint32_t>(nranks);
    default: return 1;
  }
}

const char* source_name(ChoiceSource source) {
  switch (source) {
    case ChoiceSource::kRule: return "rule";
    case ChoiceSource::kSearch: return "search";
    case ChoiceSource::kTable: return "table";
    case ChoiceSource::kForced: return "forced";
    case ChoiceSource::kTuner: return "tuner";
    case ChoiceSource::kPlan: return "plan";
  }
  return "unknown";
}

const char* protocol_name(Protocol protocol) {
  return protocol == Protocol::kInline ? "inline" : "staged";
}

}  // namespace tutti
