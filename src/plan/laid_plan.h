// A plan laid over a network: its steps and FIFOs as dense numbers, each FIFO's way, and nothing of the plan itself. What of a simulation
// does not depend on bytes is worked out once here; simulate() then runs it for as many sizes and slices as one likes.
//
//   strand   one channel of one rank: rank * nchannels + channel
//   step     one instruction; a strand's steps are consecutive
//   edge     one of the network's; or where one rank is followed for all, a class of them, by what of it is one rank's
//
// Threading: immutable once laid; share freely.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "plan/program.h"
#include "plan/simulator.h"
#include "plan/slicing.h"
#include "topology/network.h"
#include "topology/routes.h"
#include "topology/symmetry.h"

namespace tutti {

struct LaidStep {
  uint32_t recv_fifo = kNone;
  uint32_t send_fifo = kNone;
  uint32_t after_strand = kNone;
  uint32_t after_index = 0;
  Region extent;  // of what it moves; none for a nop
  bool reduces = false;
  const char* opcode = "";

  static constexpr uint32_t kNone = 0xffffffffu;
};

struct LaidFifo {
  int from = 0;  // ranks
  int to = 0;
  uint32_t producer = LaidStep::kNone;  // strands
  uint32_t consumer = LaidStep::kNone;
  double latency_us = 0;  // of its way
};

struct LaidPlan {
  Collective collective = Collective::kAllReduce;
  uint32_t largest_num = 1, largest_den = 1;  // the program's
  int fifo_channels = 0;                      // the highest FIFO channel in use, and one
  uint32_t nranks = 0;                        // whose strands there are
  uint32_t nchannels = 0;
  uint32_t nmessages = 0;              // a slice
  std::vector<uint32_t> strand_begin;  // of steps; one more than there are strands
  std::vector<LaidStep> steps;
  std::vector<LaidFifo> fifos;
  std::vector<uint32_t> way_begin{0}, way_edges;  // of each FIFO
  std::vector<double> rates;                      // bytes per us, of each edge

  std::span<const uint32_t> way(uint32_t fifo) const {
    return std::span(way_edges).subspan(way_begin[fifo], way_begin[fifo + 1] - way_begin[fifo]);
  }
  uint32_t strands() const { return nranks * nchannels; }
  uint32_t strand_length(uint32_t strand) const { return strand_begin[strand + 1] - strand_begin[strand]; }
};

// All ranks' programs. Errors: kInvalidArgument (another number of ranks than the network has; messages whose ends do not agree). Presumes
// what check_programs (resolved_plan.h) checks.
Result<LaidPlan> lay_plan(const Plan& plan, const Network& network, Routes& routes);

// One rank's program, which stands for all: what it sends to a rank is what it receives from the rank that is as far the other way, as
// `numbering` counts. Where that is `symmetry` itself, this is exact. Where the machine is symmetric otherwise than the plan (a ring of
// all hosts on a fat tree, whose leaves it crosses every now and then), it is as if everybody had this rank's ways. Errors:
// kInvalidArgument (the rank does not receive what it would have to be sent).
Result<LaidPlan> lay_symmetric(const Program& program, const Network& network, const Symmetry& symmetry, const Symmetry& numbering,
                               Routes& routes);

// As simulate() in simulator.h. Errors: kInvalidArgument (a deadlock).
Result<Simulated> simulate(const LaidPlan& plan, uint64_t bytes, const SimulateOptions& options);

// What no simulation falls short of, whatever the slices: the time that the fullest edge needs for its bytes, and a rank for injecting its
// messages.
double least_us(const LaidPlan& plan, uint64_t bytes, double injection_us);

// --- for simulator.cc

// The plan cut for a number of bytes.
struct CutPlan {
  // The bytes that a step moves.
  struct StepBytes {
    double full = 0;  // in all slices but the last
    double last = 0;  // in the last
  };
  Slicing slicing;
  std::vector<StepBytes> bytes;  // of each step
  double smallest = 0;           // bytes of a message, but 0
};
CutPlan cut_plan(const LaidPlan& plan, uint64_t bytes, uint64_t slice_bytes);

// What the plan puts on each edge in so many slices, the last of which may be shorter; and what the fullest needs for that.
std::vector<double> edge_bytes(const LaidPlan& plan, const CutPlan& cut, uint64_t slices);
double fullest_us(const LaidPlan& plan, const std::vector<double>& bytes);

}  // namespace tutti
