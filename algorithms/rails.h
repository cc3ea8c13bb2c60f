// Islands of ranks laid side by side: a rail holds one rank of every island, and what crosses between islands stays on its rail.
//
// With islands of one size g there are g rails, rank i of every island on rail i. With unequal sizes there are as many rails as the least
// common multiple of the sizes, and an island's ranks take turns: in islands of 3 and 5, 15 rails, five to each rank of the one and three
// to each of the other, so that all cross at their full rate. Where that would be very many, as many as the largest island has ranks: then
// some ranks of smaller islands have one rail more than others.
// Threading: immutable; borrows the topology.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "algorithms/rounds.h"
#include "topology/topology.h"

namespace tutti {

class Rails {
 public:
  explicit Rails(const Topology& topology) : topology_(topology) {
    smallest_ = largest_ = size(0);
    int multiple = 1;
    for (int i = 0; i < islands(); ++i) {
      smallest_ = std::min(smallest_, size(i));
      largest_ = std::max(largest_, size(i));
      if (multiple <= kMostRails) multiple = std::lcm(multiple, size(i));
    }
    rails_ = multiple <= std::max(kMostRails, largest_) ? multiple : largest_;
  }

  int islands() const { return static_cast<int>(topology_.islands().size()); }
  int size(int island) const { return static_cast<int>(ranks(island).size()); }
  int smallest() const { return smallest_; }
  int largest() const { return largest_; }
  int count() const { return rails_; }

  int island_of(int rank) const { return topology_.island_of(rank); }
  int place_of(int rank) const {
    const std::vector<int>& all = ranks(island_of(rank));
    return static_cast<int>(std::lower_bound(all.begin(), all.end(), rank) - all.begin());
  }
  int rank_at(int island, int place) const { return ranks(island)[static_cast<size_t>(place)]; }
  // The rank of an island that is on a rail.
  int member(int island, int rail) const { return rank_at(island, rail % size(island)); }
  // The rails of the rank at a place of an island.
  std::vector<int> rails_of(int island, int place) const {
    std::vector<int> rails;
    for (int rail = place; rail < rails_; rail += size(island)) rails.push_back(rail);
    return rails;
  }

  // A block crosses on all rails of the rank that it belongs to, a piece on each. Which piece takes a rail of that rank's, and how many
  // there are; ranks of one island may differ by one where the rails are no multiple of its size.
  int piece(int island, int rail) const { return rail / size(island); }
  int pieces(int island, int rail) const {
    const int place = rail % size(island);
    return (rails_ - place + size(island) - 1) / size(island);
  }
  int fewest_pieces() const { return std::max(1, rails_ / largest_); }

 private:
  static constexpr int kMostRails = 64;
  const std::vector<int>& ranks(int island) const { return topology_.islands()[static_cast<size_t>(island)]; }

  const Topology& topology_;
  int smallest_ = 1;
  int largest_ = 1;
  int rails_ = 1;
};

// Rounds along a ring of `count`, one block each: all-gather, and the reduce-scatter that ends with block i at i.
inline std::vector<Round> ring_gather_rounds(int count, int at) {
  std::vector<Round> rounds;
  for (int step = 0; step + 1 < count; ++step) {
    rounds.push_back({.to = (at + 1) % count,
                      .sent = {(at + count - step) % count},
                      .from = (at + count - 1) % count,
                      .received = {(at + 2 * count - step - 1) % count}});
  }
  return rounds;
}

inline std::vector<Round> ring_scatter_rounds(int count, int at) {
  std::vector<Round> rounds;
  for (int step = 1; step < count; ++step) {
    rounds.push_back({.to = (at + 1) % count,
                      .sent = {(at + count - step) % count},
                      .from = (at + count - 1) % count,
                      .received = {(at + 2 * count - step - 1) % count}});
  }
  return rounds;
}

// The same in ceil(log2 count) rounds, of more blocks each (circulant.cc).
inline std::vector<Round> halving_gather_rounds(int count, int at) {
  std::vector<int> distances{count};
  while (distances.back() > 1) distances.push_back((distances.back() + 1) / 2);
  std::reverse(distances.begin(), distances.end());
  return circulant_gather_rounds(count, at, distances);
}

inline std::vector<Round> halving_scatter_rounds(int count, int at) {
  std::vector<Round> rounds = halving_gather_rounds(count, at);
  std::reverse(rounds.begin(), rounds.end());
  for (Round& round : rounds) {
    std::swap(round.to, round.from);
    std::swap(round.sent, round.received);
  }
  return rounds;
}

}  // namespace tutti
