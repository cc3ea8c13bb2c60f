#include "plan/laid_plan.h"

#include <algorithm>
#include <string>

#include "plan/flat_map.h"
#include "plan/resolved_plan.h"

namespace tutti {
namespace {

using std::to_string;
using verifier::ResolvedFifo;

constexpr uint32_t kNone = LaidStep::kNone;
static_assert(kNone == verifier::kNoIndex);

void add_header(LaidPlan& laid, const Program& program) {
  laid.collective = program.collective;
  laid.largest_num = program.largest_num;
  laid.largest_den = program.largest_den;
  laid.nchannels = static_cast<uint32_t>(program.channels.size());
}

// Strands and steps, but for their FIFOs.
void add_program(LaidPlan& laid, const Program& program) {
  const auto first_strand = static_cast<uint32_t>(laid.strand_begin.size());
  for (size_t channel = 0; channel < program.channels.size(); ++channel) {
    laid.strand_begin.push_back(static_cast<uint32_t>(laid.steps.size()));
    for (const Instruction& instruction : program.channels[channel]) {
      LaidStep& step = laid.steps.emplace_back();
      if (instruction.after_channel >= 0) {
        step.after_strand = first_strand + static_cast<uint32_t>(instruction.after_channel);
        step.after_index = static_cast<uint32_t>(instruction.after_index);
      }
      step.extent = verifier::extent(instruction);
      step.reduces = instruction.reduce;
      step.opcode = opcode_name(instruction);
    }
    if (!program.channels[channel].empty()) laid.fifo_channels = std::max(laid.fifo_channels, program.fifo(channel) + 1);
  }
}

void add_way(LaidPlan& laid, LaidFifo& fifo, const Network& network, std::vector<uint32_t> way, const Symmetry* symmetry) {
  for (const uint32_t edge : way) {
    fifo.latency_us += network.edges()[edge].latency_us;
    laid.way_edges.push_back(symmetry == nullptr ? edge : symmetry->class_of(edge));
  }
  laid.way_begin.push_back(static_cast<uint32_t>(laid.way_edges.size()));
}

// The FIFOs' ways. They are numbered as they are met, so those of one sender are not together.
void find_ways(LaidPlan& laid, const Network& network, Routes& routes) {
  for (const Edge& edge : network.edges()) laid.rates.push_back(edge.bytes_per_us);
  std::vector<std::vector<uint32_t>> leaving(laid.nranks);  // FIFOs by their sender
  for (uint32_t fifo = 0; fifo < laid.fifos.size(); ++fifo) leaving[static_cast<size_t>(laid.fifos[fifo].from)].push_back(fifo);
  std::vector<std::vector<uint32_t>> ways(laid.fifos.size());
  std::vector<int> targets;
  for (size_t rank = 0; rank < leaving.size(); ++rank) {
    if (leaving[rank].empty()) continue;
    targets.clear();
    for (const uint32_t fifo : leaving[rank]) targets.push_back(laid.fifos[fifo].to);
    std::vector<std::vector<uint32_t>> found = routes.from(static_cast<int>(rank), targets);
    for (size_t i = 0; i < found.size(); ++i) ways[leaving[rank][i]] = std::move(found[i]);
  }
  for (size_t fifo = 0; fifo < ways.size(); ++fifo) add_way(laid, laid.fifos[fifo], network, std::move(ways[fifo]), nullptr);
}

// Numbers the FIFOs of the only program, whose both ends are this rank's. How often each is sent on must be how often it is received from.
Status link_to_itself(LaidPlan& laid, const Program& program, const Symmetry& numbering) {
  FlatMap ids;
  std::vector<int64_t> unmatched;  // sends less receives
  const int back = numbering.inverse(program.rank);
  const auto fifo_to = [&](int channel, int to) {
    const auto next = static_cast<uint32_t>(laid.fifos.size());
    const uint64_t key = static_cast<uint64_t>(channel) * static_cast<uint64_t>(numbering.nranks()) + static_cast<uint64_t>(to);
    const uint32_t id = ids.get_or_insert(key, next);
    if (id == next) {
      laid.fifos.push_back({.from = program.rank, .to = to});
      unmatched.push_back(0);
    }
    return id;
  };
  // The rank that is as far from this one as this one is from `peer`.
  const auto as_far_on = [&](int peer) { return numbering.shifted(numbering.inverse(numbering.shifted(peer, back)), program.rank); };
  size_t step = 0;
  for (uint32_t channel = 0; channel < program.channels.size(); ++channel) {
    for (const Instruction& instruction : program.channels[channel]) {
      LaidStep& linked = laid.steps[step++];
      if (instruction.recv_peer != kNoPeer) {
        linked.recv_fifo = fifo_to(program.fifo(channel), as_far_on(instruction.recv_peer));
        laid.fifos[linked.recv_fifo].consumer = channel;
        --unmatched[linked.recv_fifo];
      }
      if (instruction.send_peer != kNoPeer) {
        linked.send_fifo = fifo_to(program.fifo(channel), instruction.send_peer);
        laid.fifos[linked.send_fifo].producer = channel;
        ++unmatched[linked.send_fifo];
        ++laid.nmessages;
      }
    }
  }
  const auto odd = std::find_if(unmatched.begin(), unmatched.end(), [](int64_t count) { return count != 0; });
  if (odd == unmatched.end()) return {};
  const int to = laid.fifos[static_cast<size_t>(odd - unmatched.begin())].to;
  return {Code::kInvalidArgument, "simulation: what rank " + to_string(program.rank) + " sends to rank " + to_string(to) +
                                      " and what it would receive by symmetry are " + to_string(std::abs(*odd)) + " messages apart"};
}

}  // namespace

Result<LaidPlan> lay_plan(const Plan& plan, const Network& network, Routes& routes) {
  if (static_cast<int>(plan.ranks.size()) != network.nranks()) {
    return Status(Code::kInvalidArgument, "simulation: the plan has " + to_string(plan.ranks.size()) + " ranks, but the network has " +
                                              to_string(network.nranks()));
  }
  verifier::ResolvedPlan resolved;
  if (Status bad = verifier::link_messages(plan, resolved); !bad.ok()) return bad;
  LaidPlan laid;
  add_header(laid, plan.ranks[0]);
  laid.nranks = static_cast<uint32_t>(plan.ranks.size());
  laid.nmessages = resolved.nmessages;
  laid.steps.reserve(resolved.steps.size());
  for (const Program& program : plan.ranks) add_program(laid, program);
  laid.strand_begin.push_back(static_cast<uint32_t>(laid.steps.size()));
  for (size_t step = 0; step < laid.steps.size(); ++step) {
    laid.steps[step].recv_fifo = resolved.steps[step].recv_fifo;
    laid.steps[step].send_fifo = resolved.steps[step].send_fifo;
  }
  for (const ResolvedFifo& fifo : resolved.fifos) {
    laid.fifos.push_back(
        {.from = static_cast<int>(fifo.from), .to = static_cast<int>(fifo.to), .producer = fifo.producer, .consumer = fifo.consumer});
  }
  find_ways(laid, network, routes);
  return laid;
}

Result<LaidPlan> lay_symmetric(const Program& program, const Network& network, const Symmetry& symmetry, const Symmetry& numbering,
                               Routes& routes) {
  LaidPlan laid;
  add_header(laid, program);
  laid.nranks = 1;
  add_program(laid, program);
  laid.strand_begin.push_back(static_cast<uint32_t>(laid.steps.size()));
  if (Status bad = link_to_itself(laid, program, numbering); !bad.ok()) return bad;
  // An edge of a class that has fewer edges than there are ranks is shared by several ranks' messages.
  for (uint32_t each = 0; each < static_cast<uint32_t>(symmetry.classes()); ++each) {
    laid.rates.push_back(network.edges()[symmetry.edge_of_class(each)].bytes_per_us * symmetry.edges_in_class(each) / symmetry.nranks());
  }
  std::vector<int> targets;
  for (const LaidFifo& fifo : laid.fifos) targets.push_back(fifo.to);
  std::vector<std::vector<uint32_t>> ways = routes.from(program.rank, targets);
  for (size_t fifo = 0; fifo < ways.size(); ++fifo) add_way(laid, laid.fifos[fifo], network, std::move(ways[fifo]), &symmetry);
  return laid;
}

CutPlan cut_plan(const LaidPlan& plan, uint64_t bytes, uint64_t slice_bytes) {
  CutPlan cut;
  if (bytes == 0 && plan.collective == Collective::kBarrier) bytes = 1;
  const uint64_t capacity = slice_bytes == 0 ? bytes : slice_bytes;
  if (capacity >= bytes) {
    cut.slicing = {.slice_elems = bytes, .last_elems = bytes, .slices = bytes == 0 ? 0u : 1u};
  } else {
    cut.slicing = make_slicing(bytes, plan.largest_num, plan.largest_den, capacity);
  }
  cut.bytes.resize(plan.steps.size());
  for (size_t step = 0; step < plan.steps.size(); ++step) {
    const Region& region = plan.steps[step].extent;
    if (region.none()) continue;
    const auto size = [&](size_t elems) {
      const Part part = part_of(region, elems);
      return static_cast<double>(part.end - part.begin);
    };
    cut.bytes[step].full = size(cut.slicing.slice_elems);
    cut.bytes[step].last = cut.slicing.last_elems == cut.slicing.slice_elems ? cut.bytes[step].full : size(cut.slicing.last_elems);
    if (const double full = cut.bytes[step].full; full > 0 && plan.steps[step].send_fifo != kNone) {
      cut.smallest = cut.smallest == 0 ? full : std::min(cut.smallest, full);
    }
  }
  return cut;
}

std::vector<double> edge_bytes(const LaidPlan& plan, const CutPlan& cut, uint64_t slices) {
  std::vector<double> of_fifo(plan.fifos.size(), 0), bytes(plan.rates.size(), 0);
  if (slices == 0) return bytes;
  for (size_t step = 0; step < plan.steps.size(); ++step) {
    const uint32_t fifo = plan.steps[step].send_fifo;
    if (fifo != kNone) of_fifo[fifo] += cut.bytes[step].full * static_cast<double>(slices - 1) + cut.bytes[step].last;
  }
  for (uint32_t fifo = 0; fifo < of_fifo.size(); ++fifo) {
    for (const uint32_t edge : plan.way(fifo)) bytes[edge] += of_fifo[fifo];
  }
  return bytes;
}

double fullest_us(const LaidPlan& plan, const std::vector<double>& bytes) {
  double most = 0;
  for (size_t edge = 0; edge < bytes.size(); ++edge) most = std::max(most, bytes[edge] / plan.rates[edge]);
  return most;
}

double least_us(const LaidPlan& plan, uint64_t bytes, double injection_us) {
  const CutPlan cut = cut_plan(plan, bytes, 0);
  uint64_t most_sends = 0;
  for (uint32_t rank = 0; rank < plan.nranks; ++rank) {
    uint64_t sends = 0;
    for (uint32_t step = plan.strand_begin[rank * plan.nchannels]; step < plan.strand_begin[(rank + 1) * plan.nchannels]; ++step) {
      sends += plan.steps[step].send_fifo != kNone ? 1 : 0;
    }
    most_sends = std::max(most_sends, sends);
  }
  if (cut.slicing.slices == 0) return 0;
  const double injected_us = most_sends == 0 ? 0 : static_cast<double>(most_sends - 1) * injection_us;
  return std::max(fullest_us(plan, edge_bytes(plan, cut, cut.slicing.slices)), injected_us);
}

}  // namespace tutti
