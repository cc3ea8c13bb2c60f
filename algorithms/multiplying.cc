// Recursive multiplying: recursive doubling with more than two. In each round the ranks of a group of f give each other all that they have,
// one message to each of the other f-1, and so have the same for f times as many ranks. The groups' sizes are the factors of the
// number of ranks of an island, then of the number of islands, so that early rounds stay inside and as few as can be cross.
//
// All-reduce: steps = the number of factors, of f-1 messages each; a rank sends sum (f-1) N bytes, N = bytes of the buffer. For sizes whose
// bytes do not count: where a message's latency is many times what it takes to inject one more, few rounds of many messages are fastest.
// `parameter`: the largest factor that is put together from smaller ones; 0: 8. A prime factor above it stays as it is (31 ranks: one round
// of 30 messages). Any n; islands of any sizes: a rank of a larger island stands across from a rank of a smaller one that has several.
// In the order of the ranks where islands are ranges of ranks. Everybody folds what comes in a round in the same order: the same bits.
// Ruefenacht, Bull, Booth: "Generalisation of recursive doubling for AllReduce", Parallel Computing 2017.
#include <algorithm>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {
namespace {

constexpr int kUsualRadix = 8;

bool in_order(const Topology& topology) {
  int next = 0;
  for (const std::vector<int>& island : topology.islands()) {
    for (const int rank : island) {
      if (rank != next++) return false;
    }
  }
  return true;
}

int max_channels(const PlanRequest& request, const Topology& topology) {
  if (request.collective != Collective::kAllReduce || topology.nranks() != request.nranks) return 0;
  return request.rank_ordered && !in_order(topology) ? 0 : kMostShares;
}

// Factors of `count`, smaller ones put together as long as they stay within `most`; none for 1.
std::vector<int> factors_of(int count, int most) {
  std::vector<int> factors;
  for (int left = count; left > 1;) {
    int factor = std::min(left, most);
    while (factor > 1 && left % factor != 0) --factor;
    if (factor == 1) {
      // All of its primes are above `most`: the least of them.
      for (factor = most + 1; left % factor != 0;) ++factor;
    }
    factors.push_back(factor);
    left /= factor;
  }
  return factors;
}

// Whom a rank hears from in a round, itself included, in the order of the fold; and whom it sends to.
struct Group {
  std::vector<int> from;
  int self = 0;  // its place in `from`
  std::vector<int> to;
};

// The members of `at`'s group: those that differ from it in one digit, of size `factor` and weight `weight`.
std::vector<int> group_of(int at, int factor, int weight, int& self) {
  self = at / weight % factor;
  std::vector<int> members;
  for (int digit = 0; digit < factor; ++digit) members.push_back(at + (digit - self) * weight);
  return members;
}

std::vector<Group> groups_of(const Topology& topology, int rank, int most) {
  const auto& islands = topology.islands();
  const int island = topology.island_of(rank);
  const std::vector<int>& inside = islands[static_cast<size_t>(island)];
  const int place = static_cast<int>(std::lower_bound(inside.begin(), inside.end(), rank) - inside.begin());
  const auto size = static_cast<int>(inside.size());
  std::vector<Group> groups;
  int weight = 1;
  for (const int factor : factors_of(size, most)) {
    Group& group = groups.emplace_back();
    for (const int member : group_of(place, factor, weight, group.self)) group.from.push_back(inside[static_cast<size_t>(member)]);
    for (int hop = 1; hop < factor; ++hop) group.to.push_back(group.from[static_cast<size_t>((group.self + hop) % factor)]);
    weight *= factor;
  }
  weight = 1;
  for (const int factor : factors_of(static_cast<int>(islands.size()), most)) {
    Group& group = groups.emplace_back();
    const std::vector<int> members = group_of(island, factor, weight, group.self);
    for (const int member : members) {
      const std::vector<int>& theirs = islands[static_cast<size_t>(member)];
      group.from.push_back(member == island ? rank : theirs[static_cast<size_t>(place) % theirs.size()]);
    }
    for (int hop = 1; hop < factor; ++hop) {
      const std::vector<int>& theirs = islands[static_cast<size_t>(members[static_cast<size_t>((group.self + hop) % factor)])];
      for (size_t across = static_cast<size_t>(place); across < theirs.size(); across += static_cast<size_t>(size)) {
        group.to.push_back(theirs[across]);
      }
    }
    weight *= factor;
  }
  return groups;
}

// Folds from left to right, into `out`. What comes before this rank's own is held in scratch until it is used, because `own` may be `out`.
void fold(ProgramBuilder::Channel channel, const Group& group, Region own, Region out, Region prefix, bool completes) {
  const auto from = [&](int place) { return group.from[static_cast<size_t>(place)]; };
  const int last = static_cast<int>(group.from.size()) - 1;
  Region held = own;
  if (group.self == 1) {
    channel.recv_reduce_copy(from(0), own, out).completes(completes && last == 1);
    held = out;
  } else if (group.self >= 2) {
    channel.recv(from(0), prefix);
    for (int place = 1; place < group.self; ++place) channel.recv_reduce_copy(from(place), prefix, prefix).src_first();
    channel.reduce(own, prefix).completes(completes && group.self == last);
    if (group.self == last) channel.copy(prefix, out);
    held = prefix;
  }
  for (int place = group.self + 1; place <= last; ++place) {
    channel.recv_reduce_copy(from(place), held, out).src_first().completes(completes && place == last);
    held = out;
  }
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  builder.use_scratch(1);
  const std::vector<Group> groups = groups_of(topology, rank, choice.parameter == 0 ? kUsualRadix : std::max(2, choice.parameter));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    auto channel = builder.channel(c);
    Region held = share.of(Buffer::kInput);
    for (const Group& group : groups) {
      for (const int to : group.to) channel.send(to, held);
      fold(channel, group, held, share.of(Buffer::kOutput), share.of(Buffer::kScratch), &group == &groups.back());
      held = share.of(Buffer::kOutput);
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm multiplying_algorithm = {
    "multiplying", "all to a few others in each round, inside the islands first: as many steps as n has factors, sum (f-1) N bytes sent",
    max_channels, generate,
    {4, 16, 32}};

}  // namespace tutti
