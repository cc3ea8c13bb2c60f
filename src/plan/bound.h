// The least time that a network allows a collective: no plan is faster. The planner and the tools measure plans by it.
//
// N is what tutti-perf's size column counts: a rank's buffer (all_reduce, broadcast, reduce), the blocks of all ranks together that a rank
// receives (all_gather), sends (reduce_scatter, alltoall), or that the root has (gather, scatter).
//
// Transfer, n ranks, B(S) = bytes/us that can leave the set S of ranks, on whichever side each switch makes it least:
//   all_gather      N/n max over S of |S| / B(S), S not all ranks. reduce_scatter: the same with all links turned round
//   broadcast       N / min over S with the root of B(S); reduce: turned round
//   gather          N/n max over S without the root of |S| / B(S); scatter: turned round
//   all_reduce      N / min over S of B(S); and what must be sent: every partition of the ranks into m groups passes 2(m-1)N between
//                   them, out of all groups together and into all together, unless a switch between them reduces or multicasts.
//                   (all_gather, reduce_scatter, broadcast and reduce likewise (m-1)N.)
//   alltoall        N/n max over S of |S| (n-|S|) / B(S)
// These are the cut bounds of ForestColl (arXiv 2402.06787) and the counting bound of Patarasuk and Yuan (2009). Relays in software change
// nothing: a cut counts bytes, whoever passes them on.
//
// Threading: pure functions. The transfer bound does not depend on N: work it out once.
#pragma once

#include <string>

#include "plan/program.h"
#include "topology/topology.h"

namespace tutti {

struct TransferBound {
  double us_per_byte = 0;  // of N; 0: nothing has to be sent
  std::string cut;         // what binds, in words
  std::string search;      // "exact", or how far it went; all are bounds that hold
};

// The search, `search` says which:
//   up to 12 ranks   every set of ranks and every partition into groups, so exact; gather and scatter by flows, at any number of ranks
//   up to 64 ranks   all_gather, reduce_scatter, broadcast, reduce: a maximum flow for each rank, so every cut, but only partitions with
//                    structure (cuts.h); all_reduce and alltoall as below
//   beyond           a flow for each kind of rank that its place in the network tells apart (kinds_of_ranks), at most 64; all_reduce's
//                    partitions and alltoall: structured cuts and partitions
//   beyond 3,072 vertices   structured cuts and partitions only
TransferBound transfer_bound(const Topology& topology, Collective collective, int root = 0);

// The same by structured cuts and partitions alone: quicker, and no more than that.
TransferBound structured_bound(const Topology& topology, Collective collective, int root = 0);

// What one more message of the same rank costs (shared/facts/systems.md); the simulator's default.
inline constexpr double kInjectionUs = 0.2;

// The yardstick for tiny N: max(ceil(log_{k+1} n) x the cheapest latency between two ranks, the eccentricity of the graph in latency), with
// k the links that an endpoint has at most.
double latency_yardstick_us(const Topology& topology);

// A bound that holds for tiny N: what one rank has, each other needs (or the root from each), and a rank injects a message every
// kInjectionUs; and the farthest pair's latency.
double latency_bound_us(const Topology& topology, Collective collective, int root = 0);

struct Bound {
  double time_us = 0;  // max(latency, first_us + transfer): nothing crosses a cut before a first message's latency has passed
  double latency_us = 0;
  double first_us = 0;  // the cheapest latency between two ranks
  double transfer_us = 0;
  std::string cut;  // what binds: the transfer's cut, or "latency"
  std::string search;
};
Bound lower_bound(const Topology& topology, Collective collective, double bytes, int root = 0);

// The bytes of one block where the size, as lower_bound and tutti-perf count it, is `bytes`; rounded down.
uint64_t block_bytes(Collective collective, int nranks, uint64_t bytes);

}  // namespace tutti
