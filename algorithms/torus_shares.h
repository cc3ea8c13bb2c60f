// How much of the element space starts along each axis of a torus, where an algorithm goes along the axes one after another: a start at d
// takes the axes d, d+1, ... in turn, and each shrinks what is left by its size, so the axis where a share starts carries nearly all of
// it. Equal axes get equal shares. Unequal ones get shares that load the links of all axes alike, as near as 240 parts allow.
// Threading: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "algorithms/torus_axes.h"

namespace tutti {

struct Share {
  uint32_t begin = 0;  // of `parts`
  uint32_t end = 0;
};

struct Shares {
  uint32_t parts = 1;
  std::vector<Share> of;
};

inline Shares equal_shares(int number) {
  Shares shares{.parts = static_cast<uint32_t>(number), .of = {}};
  for (uint32_t i = 0; i < shares.parts; ++i) shares.of.push_back({i, i + 1});
  return shares;
}

// Time on a link of axis d + i of a share that starts at d, for one unit of data: on a ring the two directions carry half each; the busiest
// link of a line all of it. An all-reduce over a line loads all its links alike: what reduce-scatter leaves idle, all-gather uses.
inline std::vector<std::vector<double>> axis_loads(const TorusAxes& axes, bool all_reduce) {
  const int dimensions = axes.dimensions();
  std::vector<std::vector<double>> loads(static_cast<size_t>(dimensions), std::vector<double>(static_cast<size_t>(dimensions)));
  for (int start = 0; start < dimensions; ++start) {
    double held = 1;
    for (int i = 0; i < dimensions; ++i) {
      const int d = (start + i) % dimensions;
      const double k = axes.size(d);
      const double one_way = (k - 1) / k;
      const double load = axes.ring(d) ? one_way * (all_reduce ? 1 : 0.5) : (all_reduce ? 1 : one_way);
      loads[static_cast<size_t>(start)][static_cast<size_t>(d)] = held * load / axes.rate(d);
      held /= k;
    }
  }
  return loads;
}

// `parts` shared out over the starts so that the busiest axis is as little busy as can be. Minimises the sum of the loads' 16th powers,
// which is convex and smooth, so that moving parts from start to start finds the least; the order of the moves is fixed, so all ranks
// agree.
inline std::vector<int> balanced_parts(const std::vector<std::vector<double>>& loads, int parts) {
  const size_t starts = loads.size();
  std::vector<int> given(starts, parts / static_cast<int>(starts));
  given[0] += parts - given[0] * static_cast<int>(starts);
  double scale = 0;
  for (const auto& row : loads) scale = std::max(scale, *std::max_element(row.begin(), row.end()));
  const auto cost = [&] {
    double sum = 0;
    for (size_t d = 0; d < starts; ++d) {
      double load = 0;
      for (size_t s = 0; s < starts; ++s) load += given[s] * loads[s][d] / (scale * parts);
      double power = load * load;
      power *= power, power *= power, power *= power;
      sum += power;
    }
    return sum;
  };
  double least = cost();
  for (int step = parts / 8; step >= 1; step /= 2) {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t from = 0; from < starts; ++from) {
        for (size_t to = 0; to < starts; ++to) {
          if (from == to || given[from] - step < 1) continue;
          given[from] -= step, given[to] += step;
          const double now = cost();
          if (now < least) {
            least = now;
            moved = true;
          } else {
            given[from] += step, given[to] -= step;
          }
        }
      }
    }
  }
  return given;
}

// `number` shares, `halves` (1 or 2) for every start, in the order of the starts.
inline Shares axis_shares(const TorusAxes& axes, bool all_reduce, int halves, int number) {
  const int starts = axes.dimensions();
  bool alike = true;
  for (int d = 1; d < starts; ++d) {
    alike = alike && axes.size(d) == axes.size(0) && axes.ring(d) == axes.ring(0) && axes.rate(d) == axes.rate(0);
  }
  if (alike || number != starts * halves) return equal_shares(number);
  constexpr int kParts = 240;
  Shares shares{.parts = static_cast<uint32_t>(kParts * halves), .of = {}};
  uint32_t next = 0;
  for (const int parts : balanced_parts(axis_loads(axes, all_reduce), kParts)) {
    for (int half = 0; half < halves; ++half, next = shares.of.back().end) shares.of.push_back({next, next + static_cast<uint32_t>(parts)});
  }
  return shares;
}

}  // namespace tutti
