#include "planner/rules.h"

#include <algorithm>
#include <limits>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr size_t kInlineSlot = 0;  // in a rule's most_bytes: what an inline slot holds

// A channel of a ring has one message under way: 64 KiB is 0.5 ms of a gigabit, and the way there, the reduction and the scheduler take as
// long again. Eight fill the wire; two got half of it.
constexpr int kCarriedChannels = 8;

// `most_bytes` up to which the rule holds; per_rank: divided by the number of ranks. A rule is passed over where there are fewer than
// `least_ranks`, or where its algorithm cannot do the request. Tuned with perf/compare (2 ranks) and tutti-perf (8 ranks on 2 cores, where
// every step costs a round of the scheduler) on shared memory. `carried`: it holds only where something crosses a network.
//
// From kMany ranks on, what connects all pairs gives way to what connects lg n of them: such a connection costs memory (36 KiB and more),
// a handshake, and a switch of context per call where cores are shared. Tuned with tutti-scale, 16 to 256 ranks on 2 cores; a call in ms,
// with all pairs -> lg n: 8 B all_reduce, n=16 0.54 -> 0.12, n=64 17 -> 2.5, n=256 270 -> 7 (52,000 -> 4,800 switches; 10.4 -> 1.5 MiB).
struct Rule {
  Collective collective;
  int least_ranks;
  size_t most_bytes;
  bool per_rank;
  const char* algorithm;
  int channels;
  const char* reason;
  bool carried = false;
};

constexpr int kMany = 16;

constexpr Rule kRules[] = {
    {Collective::kAllReduce, kMany, kInlineSlot, false, "k_nomial", 1, "small, many ranks: few connections, fewest switches"},
    // 1 MiB: 218 ms with 256 ranks where a ring takes 416; 64 KiB: 26 and 130. The ring is ahead: 64 ranks at 16 MiB, 16 ranks at 64 KiB.
    {Collective::kAllReduce, 64, 2 << 20, false, "double_binary_tree", 1, "middle, very many ranks: 2 lg n steps, pipelined"},
    {Collective::kAllReduce, 32, 512 << 10, false, "double_binary_tree", 1, "middle, many ranks: 2 lg n steps, pipelined"},
    {Collective::kAllReduce, kMany, 512 << 10, false, "halving_doubling", 1, "middle, many ranks: least bytes, 2 lg n steps"},
    {Collective::kAllReduce, 1, kInlineSlot, false, "one_shot", 1, "small: one step, flag and data in one line"},
    // us, one_shot and what comes next (tutti-plan tune): 32 KiB, n=4 28.9 and 17.6; n=2 4.8 and, for a ring, 10.0; level at n=2, 256 KiB.
    {Collective::kAllReduce, 3, 64 << 10, true, "one_shot", 1, "small, over an inline slot: one step"},
    {Collective::kAllReduce, 3, 512 << 10, false, "two_shot", 1, "middle: least bytes, two steps"},
    {Collective::kAllReduce, 1, 128 << 10, true, "one_shot", 1, "small, over an inline slot: one step"},
    {Collective::kAllReduce, 1, 256 << 10, false, "ring", 1, "middle: least bytes, one ring"},
    {Collective::kAllReduce, 1, kNoLimit, false, "ring", 2, "large: least bytes, a ring in each direction"},
    {Collective::kAllReduce, kMany, kNoLimit, false, "halving_doubling", 1, "in rank order, many ranks: least bytes, few connections"},
    {Collective::kAllReduce, 1, kNoLimit, false, "two_shot", 1, "in rank order: least bytes"},
    {Collective::kAllReduce, 1, kNoLimit, false, "one_shot", 1, "in rank order"},

    // 64 B blocks, all pairs -> circulant: n=16 0.57 -> 0.33, n=64 15 -> 1.7, n=256 235 -> 27.
    {Collective::kAllGather, kMany, kInlineSlot, false, "circulant", 1, "small, many ranks: lg n rounds, few connections"},
    {Collective::kAllGather, kMany, 64 << 10, false, "circulant", 1, "middle, many ranks: lg n rounds, few connections"},
    {Collective::kAllGather, kMany, kNoLimit, false, "ring", 2, "large, many ranks: a ring in each direction"},
    {Collective::kAllGather, 1, kInlineSlot, false, "one_shot", 1, "small: everybody to everybody, flag and data in one line"},
    // One channel of it waits for everybody before it goes on: half of a gigabit's rate. And every rank of a node would send over its NIC
    // to every rank of the others, where a ring passes each block over it once.
    {Collective::kAllGather, 3, 32 << 10, false, "one_shot", 1, "middle: everybody to everybody, one step", true},
    {Collective::kAllGather, 1, kNoLimit, false, "ring", 2, "large, over a network: a ring in each direction", true},
    {Collective::kAllGather, 1, kNoLimit, false, "one_shot", 1, "everybody to everybody: every byte is moved once"},

    // 64 B blocks, all pairs -> circulant: n=16 0.70 -> 0.25, n=64 20 -> 2.0, n=256 247 -> 40.
    {Collective::kReduceScatter, kMany, kInlineSlot, false, "circulant", 1, "small, many ranks: lg n rounds, few connections"},
    {Collective::kReduceScatter, kMany, kInlineSlot, false, "halving_doubling", 1, "small, many ranks, in rank order: lg n rounds"},
    {Collective::kReduceScatter, 1, kInlineSlot, false, "one_shot", 1, "small: one step, flag and data in one line"},
    {Collective::kReduceScatter, 1, kNoLimit, false, "ring", 2, "least bytes, a ring in each direction"},
    {Collective::kReduceScatter, kMany, kNoLimit, false, "halving_doubling", 1, "in rank order, many ranks: lg n rounds"},
    {Collective::kReduceScatter, 1, kNoLimit, false, "one_shot", 1, "in rank order"},

    // With n=256 at 8 B 92 -> 16 (a tree for a line of senders), at 64 KiB 136 -> 28, at 1 MiB 241 -> 132 (for a chain); n=64: 38 -> 33.
    {Collective::kBroadcast, kMany, kInlineSlot, false, "binomial", 1, "small, many ranks: lg n steps"},
    {Collective::kBroadcast, 64, 1 << 20, false, "binomial", 1, "middle, very many ranks: lg n steps"},
    {Collective::kBroadcast, kMany, 16 << 10, false, "binomial", 1, "small, over an inline slot, many ranks: lg n steps"},
    {Collective::kBroadcast, 1, kInlineSlot, false, "linear", 1, "small: one step from the root"},
    {Collective::kBroadcast, 1, kNoLimit, false, "chain", 1, "large: pipelined from rank to rank"},

    {Collective::kReduce, kMany, kInlineSlot, false, "binomial", 1, "small, many ranks: lg n steps"},
    {Collective::kReduce, 64, 1 << 20, false, "binomial", 1, "middle, very many ranks: lg n steps"},
    {Collective::kReduce, kMany, 16 << 10, false, "binomial", 1, "small, over an inline slot, many ranks: lg n steps"},
    {Collective::kReduce, 1, kInlineSlot, false, "linear", 1, "small: one step to the root"},
    {Collective::kReduce, 1, kNoLimit, false, "chain", 1, "large: pipelined from rank to rank"},
    {Collective::kReduce, 1, kNoLimit, false, "linear", 1, "in rank order"},

    // The time is nearly the same (n=256, 64 B blocks: 18 and 18, 36 -> 25), but where roots change the direct way connects all pairs.
    {Collective::kGather, kMany, kInlineSlot, false, "binomial", 1, "small, many ranks: few connections"},
    {Collective::kGather, kMany, 64 << 10, false, "binomial", 1, "middle, many ranks: few connections"},
    {Collective::kGather, 1, kInlineSlot, false, "linear", 1, "small: straight to the root"},
    {Collective::kGather, 1, kNoLimit, false, "linear", 1, "straight to the root: every byte is moved once"},
    {Collective::kScatter, kMany, kInlineSlot, false, "binomial", 1, "small, many ranks: few connections"},
    {Collective::kScatter, kMany, 64 << 10, false, "binomial", 1, "middle, many ranks: few connections"},
    {Collective::kScatter, 1, kInlineSlot, false, "linear", 1, "small: straight from the root"},
    {Collective::kScatter, 1, kNoLimit, false, "linear", 1, "straight from the root: every byte is moved once"},

    // 64 B blocks, all pairs -> Bruck: n=16 0.62 -> 0.26, n=64 12 -> 2.9, n=256 299 -> 155; 4 KiB blocks, n=256: level. It moves lg n / 2
    // times the messages, so over a network, which has no inline slots, only where they are tiny.
    {Collective::kAllToAll, kMany, kInlineSlot, false, "bruck_alltoall", 1, "small, many ranks: lg n rounds, few connections"},
    {Collective::kAllToAll, kMany, 256, false, "bruck_alltoall", 1, "tiny, many ranks: lg n rounds, few connections"},
    {Collective::kAllToAll, 1, kInlineSlot, false, "pairwise", 1, "small: straight to everybody"},
    {Collective::kAllToAll, 1, kNoLimit, false, "pairwise", 1, "straight to everybody: every byte is moved once"},

    {Collective::kBarrier, 1, kInlineSlot, false, "dissemination", 1, "log2 n rounds of tokens"},
    {Collective::kBarrier, 1, kNoLimit, false, "dissemination", 1, "log2 n rounds of tokens"},
};

Status cannot(const PlanRequest& request, const char* forced) {
  return {Code::kInvalidUsage, std::string("the forced algorithm '") + forced + "' cannot do " + collective_name(request.collective) +
                                   " on " + std::to_string(request.nranks) + " ranks" + (request.uneven ? " with uneven counts" : "") +
                                   (request.rank_ordered ? " in rank order" : "") + ": unset TUTTI_ALGORITHM"};
}

}  // namespace

Result<std::vector<RuledRange>> ruled_ranges(const PlanRequest& request, const Topology& topology, size_t inline_bytes, bool carried,
                                             const char* forced) {
  std::vector<RuledRange> ranges;
  const auto add = [&](size_t most_bytes, const char* name, int channels, const char* reason) {
    const Algorithm* const algorithm = find_algorithm(name);
    const int most_channels = algorithm == nullptr ? 0 : algorithm->max_channels(request, topology);
    const bool is_inline = most_bytes == kInlineSlot;
    // The sizes of an uneven request's messages are not known to all, so they go by what suits large ones.
    if (most_channels == 0 || (is_inline && (inline_bytes == 0 || request.uneven))) return false;
    const size_t bound = is_inline ? inline_bytes : most_bytes;
    if (!ranges.empty() && bound <= ranges.back().most_bytes) return true;  // what came before covers it
    const int wanted = carried && channels > 1 && !is_inline ? kCarriedChannels : channels;
    ranges.push_back({bound,
                      {.algorithm = name,
                       .channels = std::min(wanted, most_channels),
                       .protocol = is_inline ? Protocol::kInline : Protocol::kStaged,
                       .reason = reason,
                       .source = forced != nullptr ? ChoiceSource::kForced : ChoiceSource::kRule}});
    return true;
  };
  if (forced != nullptr) {
    constexpr const char* kReason = "forced by TUTTI_ALGORITHM or the config";
    add(kInlineSlot, forced, 1, kReason);
    if (!add(kNoLimit, forced, 2, kReason)) return cannot(request, forced);
    return ranges;
  }
  for (const Rule& rule : kRules) {
    if (rule.collective != request.collective || request.nranks < rule.least_ranks || (rule.carried && !carried)) continue;
    const size_t most_bytes = rule.per_rank ? rule.most_bytes / static_cast<size_t>(request.nranks) : rule.most_bytes;
    add(most_bytes, rule.algorithm, rule.channels, rule.reason);
  }
  if (ranges.empty() || ranges.back().most_bytes != kNoLimit) {
    return Status(Code::kInternal, std::string("no rule covers ") + collective_name(request.collective));
  }
  return ranges;
}

}  // namespace tutti
