// The structural check of what needs both ends: numbers strands, steps, FIFOs and messages, and compares the k-th send of every FIFO with
// its k-th receive.
// Threading: pure functions.
#include <algorithm>
#include <string>
#include <vector>

#include "plan/flat_map.h"
#include "plan/resolved_plan.h"

namespace tutti::verifier {
namespace {

using std::to_string;

void number_steps(const Plan& plan, ResolvedPlan& resolved) {
  resolved.plan = &plan;
  resolved.nranks = static_cast<uint32_t>(plan.ranks.size());
  resolved.nchannels = static_cast<uint32_t>(plan.ranks[0].channels.size());
  resolved.strand_begin.reserve(size_t{resolved.nranks} * resolved.nchannels + 1);
  uint32_t steps = 0;
  for (const Program& program : plan.ranks) {
    for (const auto& channel : program.channels) {
      resolved.strand_begin.push_back(steps);
      steps += static_cast<uint32_t>(channel.size());
    }
  }
  resolved.strand_begin.push_back(steps);
  resolved.steps.resize(steps);
}

// Gives every FIFO a number and its two strands, and to every step the numbers of its FIFOs.
Status number_fifos(ResolvedPlan& resolved) {
  FlatMap ids;
  const auto id_of = [&](uint32_t channel, uint32_t from, uint32_t to) {
    const uint64_t key = (uint64_t{channel} * resolved.nranks + from) * resolved.nranks + to;
    const auto next = static_cast<uint32_t>(resolved.fifos.size());
    const uint32_t id = ids.get_or_insert(key, next);
    if (id == next) resolved.fifos.push_back({.channel = channel, .from = from, .to = to});
    return id;
  };
  Status failure;
  // One strand an end: the first to use it keeps it.
  const auto use = [&](uint32_t& end, uint32_t strand, uint32_t step, const char* name, const ResolvedFifo& fifo) {
    if (end == kNoIndex) end = strand;
    if (end == strand || !failure.ok()) return;
    failure = structure_error(describe(resolved, step) + " uses the " + name + " end of FIFO channel " + to_string(fifo.channel) +
                              " from rank " + to_string(fifo.from) + " to rank " + to_string(fifo.to) + ", but so does channel " +
                              to_string(end % resolved.nchannels) + "; two channels of a rank must use different ends");
  };
  for_each_instruction(*resolved.plan, [&](uint32_t rank, uint32_t channel, const Instruction& instruction, uint32_t step) {
    const auto fifo_channel = static_cast<uint32_t>(resolved.program(rank).fifo(channel));
    const uint32_t strand = rank * resolved.nchannels + channel;
    if (instruction.recv_peer != kNoPeer) {
      const uint32_t id = id_of(fifo_channel, static_cast<uint32_t>(instruction.recv_peer), rank);
      resolved.steps[step].recv_fifo = id;
      ++resolved.fifos[id].recvs;
      use(resolved.fifos[id].consumer, strand, step, "receive", resolved.fifos[id]);
    }
    if (instruction.send_peer != kNoPeer) {
      const uint32_t id = id_of(fifo_channel, rank, static_cast<uint32_t>(instruction.send_peer));
      resolved.steps[step].send_fifo = id;
      ++resolved.fifos[id].sends;
      use(resolved.fifos[id].producer, strand, step, "send", resolved.fifos[id]);
    }
  });
  return failure;
}

// The step that is the nth send (or receive) of a FIFO; it exists.
uint32_t nth_end(const ResolvedPlan& resolved, uint32_t fifo, uint32_t nth, bool send) {
  uint32_t step = resolved.strand_begin[send ? resolved.fifos[fifo].producer : resolved.fifos[fifo].consumer];
  for (;; ++step) {
    const Step& candidate = resolved.steps[step];
    if ((send ? candidate.send_fifo : candidate.recv_fifo) == fifo && nth-- == 0) return step;
  }
}

Status check_counts(const ResolvedPlan& resolved) {
  for (uint32_t id = 0; id < resolved.fifos.size(); ++id) {
    const ResolvedFifo& fifo = resolved.fifos[id];
    if (fifo.sends == fifo.recvs) continue;
    const bool extra_send = fifo.sends > fifo.recvs;
    const uint32_t matched = std::min(fifo.sends, fifo.recvs);
    return structure_error(describe(resolved, nth_end(resolved, id, matched, extra_send)) + (extra_send ? " sends" : " awaits") +
                           " message " + to_string(matched) + " of FIFO channel " + to_string(fifo.channel) + " from rank " +
                           to_string(fifo.from) + " to rank " + to_string(fifo.to) + ", but the other end " +
                           (extra_send ? "receives" : "sends") + " only " + to_string(matched) + "; every send needs its receive");
  }
  return {};
}

// Gives the k-th send and the k-th receive of every FIFO the same number, and compares their regions.
Status number_messages(ResolvedPlan& resolved) {
  uint32_t messages = 0;
  for (ResolvedFifo& fifo : resolved.fifos) {
    fifo.first_message = messages;
    messages += fifo.sends;
  }
  resolved.nmessages = messages;
  std::vector<const Region*> sent(messages);
  std::vector<uint32_t> next(resolved.fifos.size(), 0);
  for_each_instruction(*resolved.plan, [&](uint32_t, uint32_t, const Instruction& instruction, uint32_t index) {
    Step& step = resolved.steps[index];
    if (step.send_fifo == kNoIndex) return;
    step.send_message = resolved.fifos[step.send_fifo].first_message + next[step.send_fifo]++;
    sent[step.send_message] = &extent(instruction);
  });
  std::fill(next.begin(), next.end(), 0);
  Status failure;
  for_each_instruction(*resolved.plan, [&](uint32_t, uint32_t, const Instruction& instruction, uint32_t index) {
    Step& step = resolved.steps[index];
    if (step.recv_fifo == kNoIndex) return;
    const uint32_t nth = next[step.recv_fifo]++;
    step.recv_message = resolved.fifos[step.recv_fifo].first_message + nth;
    if (!failure.ok() || congruent(*sent[step.recv_message], extent(instruction))) return;
    failure =
        structure_error(describe(resolved, index) + " takes " + describe(extent(instruction)) + ", but the message that arrives, from " +
                        describe(resolved, nth_end(resolved, step.recv_fifo, nth, true)) + ", holds " + describe(*sent[step.recv_message]) +
                        "; the k-th send and the k-th receive of a channel must be the same part of a block");
  });
  return failure;
}

}  // namespace

Status link_messages(const Plan& plan, ResolvedPlan& resolved) {
  number_steps(plan, resolved);
  if (Status bad = number_fifos(resolved); !bad.ok()) return bad;
  if (Status bad = check_counts(resolved); !bad.ok()) return bad;
  return number_messages(resolved);
}

}  // namespace tutti::verifier
