// Circulant graph: reduce-scatter in ceil(log2 n) rounds at halving distances ceil(n/2), ceil(n/4), ..., 1 around the circle of the ranks,
// and all-gather the same way back, for any n without folding.
//
// Reduce-scatter, all-gather: steps ceil(log2 n); a rank sends (n-1)/n N bytes, N = bytes of all blocks; uneven blocks for all-gather only
// (a reduce-scatter's partial results are in scratch). All-reduce: both, 2(n-1)/n N bytes, N = bytes of the buffer, partial results in the
// output. Any n; commutative reductions. An element is reduced by one tree and copied from its root: the same bits everywhere.
// Träff: "Optimal, non-pipelined reduce-scatter and allreduce algorithms", arXiv 2410.14234.
#include <algorithm>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/rounds.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllReduce: return request.rank_ordered ? 0 : kMostShares;
    case Collective::kReduceScatter: return request.rank_ordered || request.uneven ? 0 : kMostShares;
    case Collective::kAllGather: return kMostShares;
    default: return 0;
  }
}

// 1, ..., ceil(n/2), n.
std::vector<int> distances_of(int nranks) {
  std::vector<int> distances{nranks};
  while (distances.back() > 1) distances.push_back((distances.back() + 1) / 2);
  std::reverse(distances.begin(), distances.end());
  return distances;
}

// The all-gather's rounds backwards: who received sends.
std::vector<Round> reduce_scatter_rounds(int nranks, int rank) {
  std::vector<Round> rounds = circulant_gather_rounds(nranks, rank, distances_of(nranks));
  std::reverse(rounds.begin(), rounds.end());
  for (Round& round : rounds) {
    std::swap(round.to, round.from);
    std::swap(round.sent, round.received);
  }
  return rounds;
}

// One rank's all-reduce of one share, which is cut into n chunks, counted from this rank's own on.
class AllReduce {
 public:
  AllReduce(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank)
      : channel_(channel), share_(share), nranks_(nranks), rank_(rank), distances_(distances_of(nranks)) {}

  void build() {
    const int rounds = static_cast<int>(distances_.size()) - 1;
    for (int k = rounds - 1; k > 0; --k) reduce_round(at(k), at(k + 1), k == rounds - 1);
    // The reduction's last round goes to whom the all-gather's first sends: fused.
    send(up(1), rounds == 1 ? Buffer::kInput : Buffer::kOutput, 1, 2);
    each_run(0, 1, [&](int begin, int end) {
      const Region held = chunks(rounds == 1 ? Buffer::kInput : Buffer::kOutput, begin, end);
      channel_.recv_reduce_copy_send(down(1), held, chunks(Buffer::kOutput, begin, end), down(1)).completes();
    });
    receive(up(1), 1, 2);
    for (int k = 1; k < rounds; ++k) {
      send(down(at(k)), Buffer::kOutput, 0, at(k + 1) - at(k));
      receive(up(at(k)), at(k), at(k + 1));
    }
  }

 private:
  int at(int k) const { return distances_[static_cast<size_t>(k)]; }
  int up(int distance) const { return (rank_ + distance) % nranks_; }
  int down(int distance) const { return (rank_ + nranks_ - distance) % nranks_; }
  Region chunks(Buffer buffer, int begin, int end) const { return share_.chunks_of(buffer, begin, end, nranks_); }

  // Calls visit(begin, end) for the runs of neighbouring chunks that [begin, end), counted from this rank's own, is: two where it wraps.
  template <class Visit>
  void each_run(int begin, int end, Visit visit) const {
    const int first = (rank_ + begin) % nranks_, past = first + end - begin;
    visit(first, std::min(past, nranks_));
    if (past > nranks_) visit(0, past - nranks_);
  }

  void send(int to, Buffer buffer, int begin, int end) {
    each_run(begin, end, [&](int first, int past) { channel_.send(to, chunks(buffer, first, past)); });
  }
  void receive(int from, int begin, int end) {
    each_run(begin, end, [&](int first, int past) { channel_.recv(from, chunks(Buffer::kOutput, first, past)); });
  }

  // From partial results of chunks [0, past) to those of [0, distance).
  void reduce_round(int distance, int past, bool first_round) {
    const Buffer held = first_round ? Buffer::kInput : Buffer::kOutput;
    send(up(distance), held, distance, past);
    each_run(0, past - distance, [&](int begin, int end) {
      channel_.recv_reduce_copy(down(distance), chunks(held, begin, end), chunks(Buffer::kOutput, begin, end));
    });
    // The chunk in the middle of an odd number, which nobody sends: from here on all that this rank holds is in the output.
    if (!first_round || past - distance == distance) return;
    each_run(past - distance, distance,
             [&](int begin, int end) { channel_.copy(chunks(Buffer::kInput, begin, end), chunks(Buffer::kOutput, begin, end)); });
  }

  ProgramBuilder::Channel channel_;
  const ChannelShare share_;
  const int nranks_;
  const int rank_;
  const std::vector<int> distances_;
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  if (request.collective == Collective::kAllGather) {
    return gather_in_rounds(request, choice, rank, circulant_gather_rounds(n, rank, distances_of(n)));
  }
  if (request.collective == Collective::kReduceScatter) {
    return reduce_scatter_in_rounds(request, choice, rank, reduce_scatter_rounds(n, rank));
  }
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(static_cast<uint32_t>(n / 2), static_cast<uint32_t>(n * choice.channels));
  for (int c = 0; c < choice.channels; ++c) AllReduce(builder.channel(c), {c, choice.channels}, n, rank).build();
  return builder.take();
}

}  // namespace

extern const Algorithm circulant_algorithm = {
    "circulant", "halving distances around a circle: ceil(log2 n) steps, (n-1)/n N bytes sent; all_reduce twice both; any n", max_channels,
    generate};

}  // namespace tutti
