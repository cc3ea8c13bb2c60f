// Hierarchical: inside the islands first, everybody with everybody; then across them, on all rails at once (rails.h); then inside again.
// Where insides are fast and every rank has a way out of its own, each of the two is used for what it is good at. Slices are pipelined: a
// slice crosses while the next is inside, so that in the limit only the slower of the two counts.
//
// m islands of g ranks, n = m g, N as nccl-tests counts it. What a rank sends, inside + across:
//   all-reduce      reduce-scatter inside, all-reduce along the rail, all-gather inside:  2(g-1)/g N + 2(m-1)/m N/g; steps 2 + 2(m-1)
//   all-gather      all-gather along the rail, what arrives at once to all inside:         (g-1)/g N + (m-1)/n N;    steps 1 + (m-1)
//   reduce-scatter  to the rank of the rail inside, then along the rail:                   the same
//   broadcast       in g parts from the root to its island's ranks, each along its rail (a chain) and to all inside; the part of the
//                   root's own rail it divides among the others of its island, who pass it on:  at most N + N/g; steps m + 1
//   reduce          the same backwards
//   all-to-all      to the rank inside that is on the destination's rail, and that one straight across: N inside + (n-g)/n N across, so a
//                   rank has m-1 partners across in place of n-g, and nothing changes rails outside; steps 2
// `parameter`: 0 goes round a ring of islands, m-1 steps (all-reduce twice); 1 halves and doubles distances, ceil(log2 m) steps, any m.
// Broadcast and reduce go along a chain, all-to-all straight, whatever the parameter.
// `channels`: 1 to 4 shares, each with FIFOs of its own across, to have more under way where latency is long.
//
// Two islands or more, of any sizes; unequal ones as rails.h says; commutative reductions; all-gather takes uneven blocks (the others keep
// partial results or passing blocks in scratch). Every element is reduced in one place after another and copied from where it is complete:
// the same bits everywhere.
// Low latency for small sizes is multiplying.cc's. Jia et al.: "Highly scalable deep learning training system with mixed-precision", 2018
// (hierarchical all-reduce); Cho et al.: "BlueConnect", IBM J. R&D 2019 (all rails, any number of levels); Träff, Rougier: "MPI collectives
// and datatypes for hierarchical all-to-all communication", EuroMPI 2014.
#include <map>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/rails.h"
#include "algorithms/weave.h"

namespace tutti {
namespace {

constexpr int kMostHierarchicalShares = kMostShares / 2;  // each share has a FIFO for the first way inside, and one for the second

int max_channels(const PlanRequest& request, const Topology& topology) {
  const bool flat = topology.islands().size() < 2 || static_cast<int>(topology.islands().size()) == topology.nranks();
  if (flat || topology.nranks() != request.nranks || request.rank_ordered) return 0;
  switch (request.collective) {
    case Collective::kAllGather:
    case Collective::kAllReduce:
    case Collective::kBroadcast:
    case Collective::kReduce: return kMostHierarchicalShares;
    case Collective::kReduceScatter:
    case Collective::kAllToAll: return request.uneven ? 0 : kMostHierarchicalShares;
    default: return 0;
  }
}

// Where a part lies, and the step that brought it there.
struct Held {
  Region region;
  StepDone since;
};

// One rank's program.
class Hierarchical {
 public:
  Hierarchical(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank)
      : request_(request),
        shares_(choice.channels),
        rails_(topology),
        rank_(rank),
        island_(rails_.island_of(rank)),
        place_(rails_.place_of(rank)),
        mine_(rails_.rails_of(island_, place_)),
        weave_(request, choice, rank) {
    const bool ring = choice.parameter == 0;
    gather_rounds_ = ring ? ring_gather_rounds(islands(), island_) : halving_gather_rounds(islands(), island_);
    scatter_rounds_ = ring ? ring_scatter_rounds(islands(), island_) : halving_scatter_rounds(islands(), island_);
  }

  Program build() {
    const bool in_pieces = request_.collective == Collective::kAllGather || request_.collective == Collective::kReduceScatter ||
                           request_.collective == Collective::kAllToAll;
    const int parts = in_pieces ? rails_.fewest_pieces() : rails_.count();
    // Parts of all-to-all that stay inside are not cut into pieces.
    const bool whole = request_.collective == Collective::kAllToAll;
    weave_.builder().largest_message(1, static_cast<uint32_t>(shares_ * (whole ? 1 : parts)));
    for (share_ = 0; share_ < shares_; ++share_) {
      switch (request_.collective) {
        case Collective::kAllReduce: all_reduce(); break;
        case Collective::kAllGather: all_gather(); break;
        case Collective::kReduceScatter: reduce_scatter(); break;
        case Collective::kBroadcast: broadcast(); break;
        case Collective::kReduce: reduce(); break;
        default: all_to_all(); break;
      }
    }
    weave_.builder().use_scratch(static_cast<uint32_t>(scratch_.size()));
    return weave_.take(most_channels());
  }

 private:
  int islands() const { return rails_.islands(); }
  int locals() const { return rails_.size(island_); }
  int local(int place) const { return rails_.rank_at(island_, place); }
  int fifo_in() const { return share_; }
  int fifo_across() const { return share_; }
  int fifo_out() const { return kMostHierarchicalShares + share_; }

  // To each other rank of the island and from it, both times; to and from each rank of another island that shares a rail.
  int most_channels() const {
    const int partners = std::min((rails_.count() + rails_.smallest() - 1) / rails_.smallest(), rails_.largest()) * (islands() - 1);
    return shares_ * (4 * (rails_.largest() - 1) + 2 * partners) + 1;
  }

  // Of block 0: what goes along a rail, and a chunk of it.
  Region part(Buffer buffer, int rail) const {
    const auto begin = static_cast<uint32_t>(share_ * rails_.count() + rail);
    return {buffer, begin, begin + 1, static_cast<uint32_t>(shares_ * rails_.count())};
  }
  Region chunk(Buffer buffer, int rail, int island) const {
    const auto begin = static_cast<uint32_t>((share_ * rails_.count() + rail) * islands() + island);
    return {buffer, begin, begin + 1, static_cast<uint32_t>(shares_ * rails_.count() * islands())};
  }
  // Of a block that belongs to the rank of an island on a rail: what goes along this rail. `block` is where the buffer has it.
  Region piece(Buffer buffer, int block, int island, int rail) const {
    const int pieces = rails_.pieces(island, rail);
    const auto begin = static_cast<uint32_t>((block * shares_ + share_) * pieces + rails_.piece(island, rail));
    return {buffer, begin, begin + 1, static_cast<uint32_t>(shares_ * pieces)};
  }
  Region share_of(Buffer buffer, int block) const { return ChannelShare{share_, shares_}.of(buffer, block); }
  // This rank's block of scratch for a purpose.
  int scratch_block(int a, int b = 0) {
    const int next = static_cast<int>(scratch_.size());
    return scratch_.emplace(std::pair(a, b), next).first->second;
  }

  // For every other rank of the island: those it sends to go up from this one, those it receives from go down.
  template <class Visit>
  void each_up(Visit visit) const {
    for (int hop = 1; hop < locals(); ++hop) visit((place_ + hop) % locals());
  }
  template <class Visit>
  void each_down(Visit visit) const {
    for (int hop = 1; hop < locals(); ++hop) visit((place_ + locals() - hop) % locals());
  }

  // Adds what a rank of the island sends to what is held; into `sum`.
  void sum_inside(Held& held, int from_place, Region sum) {
    held = {sum, weave_.recv_reduce(local(from_place), fifo_in(), held.region, sum, false, held.since)};
  }

  // Reduce-scatter along a round's ranks of all this rank's rails. held: by rail of mine_, by island.
  template <class Sum>
  void reduce_across(std::vector<std::vector<Held>>& held, std::vector<std::vector<StepDone>>& sent, Sum sum) {
    for (const Round& round : scatter_rounds_) {
      const bool last = &round == &scatter_rounds_.back();
      for (size_t r = 0; r < mine_.size(); ++r) {
        for (const int block : round.sent) {
          const auto b = static_cast<size_t>(block);
          sent[r][b] = weave_.send(rails_.member(round.to, mine_[r]), fifo_across(), held[r][b].region, held[r][b].since);
        }
        for (const int block : round.received) {
          Held& here = held[r][static_cast<size_t>(block)];
          const Region into = sum(mine_[r], block);
          const int from = rails_.member(round.from, mine_[r]);
          here = {into, weave_.recv_reduce(from, fifo_across(), here.region, into, last, here.since)};
        }
      }
    }
  }

  // All-gather, the same way. free_since: when a block's place may be written.
  template <class Place>
  void gather_across(std::vector<std::vector<Held>>& held, const std::vector<std::vector<StepDone>>& free_since, Place place) {
    for (const Round& round : gather_rounds_) {
      for (size_t r = 0; r < mine_.size(); ++r) {
        for (const int block : round.sent) {
          const Held& here = held[r][static_cast<size_t>(block)];
          weave_.send(rails_.member(round.to, mine_[r]), fifo_across(), here.region, here.since);
        }
        for (const int block : round.received) {
          const Region into = place(mine_[r], block);
          const int from = rails_.member(round.from, mine_[r]);
          held[r][static_cast<size_t>(block)] = {into, weave_.recv(from, fifo_across(), into, free_since[r][static_cast<size_t>(block)])};
        }
      }
    }
  }

  std::vector<std::vector<Held>> nothing_held() const {
    return std::vector<std::vector<Held>>(mine_.size(), std::vector<Held>(static_cast<size_t>(islands())));
  }
  std::vector<std::vector<StepDone>> nothing_done() const {
    return std::vector<std::vector<StepDone>>(mine_.size(), std::vector<StepDone>(static_cast<size_t>(islands())));
  }

  // Sends every rank inside its rails' parts of the input, and sums up this rank's own. In place, an output may be written once what lay
  // there has been sent: `given`, by rail.
  std::vector<Held> scatter_parts_inside(std::vector<StepDone>& given) {
    given.assign(static_cast<size_t>(rails_.count()), {});
    each_up([&](int place) {
      for (const int rail : rails_.rails_of(island_, place)) {
        given[static_cast<size_t>(rail)] = weave_.send(local(place), fifo_in(), part(Buffer::kInput, rail));
      }
    });
    std::vector<Held> held;
    for (const int rail : mine_) held.push_back({part(Buffer::kInput, rail), {}});
    each_down([&](int place) {
      for (size_t r = 0; r < mine_.size(); ++r) sum_inside(held[r], place, part(Buffer::kOutput, mine_[r]));
    });
    return held;
  }

  void all_reduce() {
    std::vector<StepDone> given;
    const std::vector<Held> summed = scatter_parts_inside(given);
    auto held = nothing_held();
    auto sent = nothing_done();
    for (size_t r = 0; r < mine_.size(); ++r) {
      for (int i = 0; i < islands(); ++i) held[r][static_cast<size_t>(i)] = {chunk(summed[r].region.buffer, mine_[r], i), summed[r].since};
    }
    const auto out = [&](int rail, int island) { return chunk(Buffer::kOutput, rail, island); };
    reduce_across(held, sent, out);
    gather_across(held, sent, out);
    // In the order in which they became complete.
    const auto give = [&](int island) {
      for (size_t r = 0; r < mine_.size(); ++r) {
        const Held& here = held[r][static_cast<size_t>(island)];
        each_up([&](int place) { weave_.send(local(place), fifo_out(), here.region, here.since); });
      }
    };
    const auto take = [&](int island) {
      each_down([&](int place) {
        for (const int rail : rails_.rails_of(island_, place)) {
          weave_.recv(local(place), fifo_out(), out(rail, island), given[static_cast<size_t>(rail)]);
        }
      });
    };
    each_complete([&](int island) { give(island), take(island); });
  }

  // The islands' blocks in the order in which a gather brings them.
  template <class Visit>
  void each_complete(Visit visit) const {
    visit(island_);
    for (const Round& round : gather_rounds_) {
      for (const int island : round.received) visit(island);
    }
  }

  void all_gather() {
    auto held = nothing_held();
    const auto out = [&](int rail, int island) { return piece(Buffer::kOutput, rails_.member(island, rail), island, rail); };
    for (size_t r = 0; r < mine_.size(); ++r) {
      const Region in = piece(Buffer::kInput, 0, island_, mine_[r]), own = out(mine_[r], island_);
      held[r][static_cast<size_t>(island_)] = {own, weave_.add({.src = in, .dst = own}, 0)};
    }
    gather_across(held, nothing_done(), out);
    each_complete([&](int island) {
      for (size_t r = 0; r < mine_.size(); ++r) {
        const Held& here = held[r][static_cast<size_t>(island)];
        each_up([&](int place) { weave_.send(local(place), fifo_out(), here.region, here.since); });
      }
      each_down([&](int place) {
        for (const int rail : rails_.rails_of(island_, place)) weave_.recv(local(place), fifo_out(), out(rail, island));
      });
    });
  }

  void reduce_scatter() {
    const auto in = [&](int rail, int island) { return piece(Buffer::kInput, rails_.member(island, rail), island, rail); };
    const auto sum = [&](int rail, int island) {
      const int owner = rails_.member(island, rail);
      return owner == rank_ ? piece(Buffer::kOutput, 0, island, rail) : piece(Buffer::kScratch, scratch_block(owner), island, rail);
    };
    auto held = nothing_held();
    auto sent = nothing_done();
    // What is to leave first is summed first; this island's own blocks last.
    for (int hop = 1; hop <= islands(); ++hop) {
      const int island = (island_ + islands() - hop) % islands();
      each_up([&](int place) {
        for (const int rail : rails_.rails_of(island_, place)) weave_.send(local(place), fifo_in(), in(rail, island));
      });
      for (size_t r = 0; r < mine_.size(); ++r) {
        Held& here = held[r][static_cast<size_t>(island)] = {in(mine_[r], island), {}};
        each_down([&](int place) { sum_inside(here, place, sum(mine_[r], island)); });
      }
    }
    reduce_across(held, sent, sum);
  }

  // How far an island is from the root's along the chain, and the one so far.
  int steps_from_root() const { return (island_ + islands() - rails_.island_of(request_.root)) % islands(); }
  int island_after(int steps) const { return (rails_.island_of(request_.root) + steps) % islands(); }

  // Of a part whose rail is the root's own, what the root shares with one rank of its island: it would have to deal with all of it with
  // every other rank otherwise, and nothing comes out of a root faster than N.
  Region morsel(Buffer buffer, int rail, int place) const {
    const int others = locals() - 1, root_place = rails_.place_of(request_.root);
    const auto begin = static_cast<uint32_t>((share_ * rails_.count() + rail) * others + (place < root_place ? place : place - 1));
    return {buffer, begin, begin + 1, static_cast<uint32_t>(shares_ * rails_.count() * others)};
  }
  std::vector<int> rails_of_root() const { return rails_.rails_of(rails_.island_of(request_.root), rails_.place_of(request_.root)); }

  void broadcast() {
    if (rank_ == request_.root) {
      broadcast_from_root();
      return;
    }
    const int steps = steps_from_root();
    const bool with_root = steps == 0, last = steps + 1 == islands();
    const auto give = [&](Region region, StepDone since) {
      each_up([&](int place) {
        if (local(place) != request_.root) weave_.send(local(place), fifo_out(), region, since);
      });
    };
    for (const int rail : mine_) {
      const Region out = part(Buffer::kOutput, rail);
      const int from = with_root ? request_.root : rails_.member(island_after(steps - 1), rail);
      const StepDone here = weave_.recv(from, with_root ? fifo_in() : fifo_across(), out);
      if (!last) weave_.send(rails_.member(island_after(steps + 1), rail), fifo_across(), out, here);
      give(out, here);
    }
    for (const int rail : with_root ? rails_of_root() : std::vector<int>{}) {
      const Region out = morsel(Buffer::kOutput, rail, place_);
      give(out, weave_.recv(request_.root, fifo_in(), out));
    }
    each_down([&](int place) {
      if (local(place) == request_.root) return;
      for (const int rail : rails_.rails_of(island_, place)) weave_.recv(local(place), fifo_out(), part(Buffer::kOutput, rail));
      for (const int rail : with_root ? rails_of_root() : std::vector<int>{}) {
        weave_.recv(local(place), fifo_out(), morsel(Buffer::kOutput, rail, place));
      }
    });
  }

  // The root's own output is filled by what it sends.
  void broadcast_from_root() {
    each_up([&](int place) {
      for (const int rail : rails_.rails_of(island_, place)) {
        weave_.add({.send_peer = local(place), .src = part(Buffer::kInput, rail), .dst = part(Buffer::kOutput, rail)}, fifo_in());
      }
    });
    for (const int rail : mine_) {
      const Region in = part(Buffer::kInput, rail), out = part(Buffer::kOutput, rail);
      const StepDone sent = weave_.add({.send_peer = rails_.member(island_after(1), rail), .src = in, .dst = out}, fifo_across());
      each_up([&](int place) { weave_.send(local(place), fifo_in(), morsel(Buffer::kOutput, rail, place), sent); });
    }
  }

  void reduce() {
    if (rank_ == request_.root) {
      reduce_at_root();
      return;
    }
    const int steps = steps_from_root();
    const bool with_root = steps == 0;
    const auto in = [&](int rail) { return part(Buffer::kInput, rail); };
    each_up([&](int place) {
      if (local(place) == request_.root) return;
      for (const int rail : rails_.rails_of(island_, place)) weave_.send(local(place), fifo_in(), in(rail));
      for (const int rail : with_root ? rails_of_root() : std::vector<int>{}) {
        weave_.send(local(place), fifo_in(), morsel(Buffer::kInput, rail, place));
      }
    });
    scratch_block(0);
    std::vector<Held> held, shared;
    for (const int rail : mine_) held.push_back({in(rail), {}});
    for (const int rail : with_root ? rails_of_root() : std::vector<int>{}) shared.push_back({morsel(Buffer::kInput, rail, place_), {}});
    each_down([&](int place) {
      for (size_t r = 0; r < mine_.size(); ++r) sum_inside(held[r], place, part(Buffer::kScratch, mine_[r]));
      if (local(place) == request_.root) return;
      for (size_t r = 0; r < shared.size(); ++r) sum_inside(shared[r], place, morsel(Buffer::kScratch, rails_of_root()[r], place_));
    });
    for (const Held& here : shared) weave_.send(request_.root, fifo_out(), here.region, here.since);
    for (size_t r = 0; r < mine_.size(); ++r) {
      add_from_next(held[r], mine_[r], part(Buffer::kScratch, mine_[r]));
      const int to = with_root ? request_.root : rails_.member(island_after(steps - 1), mine_[r]);
      weave_.send(to, with_root ? fifo_out() : fifo_across(), held[r].region, held[r].since);
    }
  }

  // Along the chain towards the root; what arrives in its island is the sum of all.
  void add_from_next(Held& held, int rail, Region sum) {
    const int steps = steps_from_root();
    if (steps + 1 == islands()) return;
    const int from = rails_.member(island_after(steps + 1), rail);
    held = {sum, weave_.recv_reduce(from, fifo_across(), held.region, sum, steps == 0, held.since)};
  }

  // In place, the output may be written where the input has been sent.
  void reduce_at_root() {
    std::vector<StepDone> given(static_cast<size_t>(rails_.count()));
    each_up([&](int place) {
      for (const int rail : rails_.rails_of(island_, place)) {
        given[static_cast<size_t>(rail)] = weave_.send(local(place), fifo_in(), part(Buffer::kInput, rail));
      }
    });
    std::vector<Held> held;
    for (const int rail : mine_) held.push_back({part(Buffer::kInput, rail), {}});
    each_down([&](int place) {
      for (size_t r = 0; r < mine_.size(); ++r) {
        const Region in = morsel(Buffer::kInput, mine_[r], place), sum = morsel(Buffer::kOutput, mine_[r], place);
        // Each after the one before, so that the last stands for all.
        held[r] = {part(Buffer::kOutput, mine_[r]), weave_.recv_reduce(local(place), fifo_out(), in, sum, false, held[r].since)};
      }
    });
    for (size_t r = 0; r < mine_.size(); ++r) add_from_next(held[r], mine_[r], part(Buffer::kOutput, mine_[r]));
    each_down([&](int place) {
      for (const int rail : rails_.rails_of(island_, place)) {
        weave_.recv(local(place), fifo_out(), part(Buffer::kOutput, rail), given[static_cast<size_t>(rail)]);
      }
    });
  }

  void all_to_all() {
    weave_.add({.src = share_of(Buffer::kInput, rank_), .dst = share_of(Buffer::kOutput, rank_)}, 0);
    each_up([&](int place) { weave_.send(local(place), fifo_out(), share_of(Buffer::kInput, local(place))); });
    each_down([&](int place) { weave_.recv(local(place), fifo_out(), share_of(Buffer::kOutput, local(place))); });
    for (int hop = 1; hop < islands(); ++hop) {
      const int to = (island_ + hop) % islands();
      each_up([&](int place) {
        for (const int rail : rails_.rails_of(island_, place)) {
          weave_.send(local(place), fifo_in(), piece(Buffer::kInput, rails_.member(to, rail), to, rail));
        }
      });
      for (const int rail : mine_) pass_across(to, rail);
      take_across((island_ + islands() - hop) % islands());
    }
  }

  // This rank's own block and those of its island, for the rank of another that is on the rail.
  void pass_across(int island, int rail) {
    const int to = rails_.member(island, rail);
    weave_.send(to, fifo_across(), piece(Buffer::kInput, to, island, rail));
    each_down([&](int place) {
      const Region passing = piece(Buffer::kScratch, scratch_block(to, place), island, rail);
      const StepDone here = weave_.recv(local(place), fifo_in(), passing);
      weave_.send(to, fifo_across(), passing, here);
    });
  }

  // What another island's ranks have for this one, from its ranks on this one's rails.
  void take_across(int island) {
    for (const int rail : mine_) {
      const int from = rails_.member(island, rail), size = rails_.size(island), first = rails_.place_of(from);
      for (int hop = 0; hop < size; ++hop) {
        const int source = rails_.rank_at(island, (first + size - hop) % size);
        weave_.recv(from, fifo_across(), piece(Buffer::kOutput, source, island_, rail));
      }
    }
  }

  const PlanRequest& request_;
  const int shares_;
  const Rails rails_;
  const int rank_;
  const int island_;
  const int place_;
  const std::vector<int> mine_;  // the rails of this rank
  std::vector<Round> gather_rounds_, scatter_rounds_;
  Weave weave_;
  std::map<std::pair<int, int>, int> scratch_;
  int share_ = 0;
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  return Hierarchical(request, choice, topology, rank).build();
}

}  // namespace

extern const Algorithm hierarchical_algorithm = {
    "hierarchical", "inside the islands, across them on all rails, inside again, pipelined: 2(g-1)/g N + 2(m-1)/m N/g bytes sent",
    max_channels, generate,
    {1}};

}  // namespace tutti
