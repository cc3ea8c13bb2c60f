#include "tools/plan_picture.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

using Pairs = std::map<std::pair<int, int>, double>;  // sender and receiver, bytes

// A rank that has no box of its own costs a search for its ways; so many at most.
constexpr size_t kMostHiddenSenders = 256;

double bytes_of(const Instruction& instruction, uint64_t block) {
  const Region& region = instruction.src.none() ? instruction.dst : instruction.src;
  return region.none() ? 0 : static_cast<double>(region.end - region.begin) / region.den * static_cast<double>(block);
}

// What the ranks of a picture send, and what ranks that it does not show send them.
std::vector<Pairs> sent(const Algorithm& algorithm, const Topology& topology, const PlanRequest& request, const PlanChoice& choice,
                        uint64_t block, const std::vector<int>& shown) {
  std::vector<Pairs> channels;
  const auto is_shown = [&](int rank) { return std::binary_search(shown.begin(), shown.end(), rank); };
  for (const int rank : shown) {
    const Program program = algorithm.generate(request, choice, topology, rank);
    for (size_t c = 0; c < program.channels.size(); ++c) {
      // What people call a channel is what its FIFOs are numbered by: a rank may have many strands that share the number.
      const auto fifo = static_cast<size_t>(program.fifo(c));
      if (channels.size() <= fifo) channels.resize(fifo + 1);
      for (const Instruction& instruction : program.channels[c]) {
        const double bytes = bytes_of(instruction, block);
        if (instruction.send_peer != kNoPeer) channels[fifo][{rank, instruction.send_peer}] += bytes;
        if (instruction.recv_peer != kNoPeer && !is_shown(instruction.recv_peer)) channels[fifo][{instruction.recv_peer, rank}] += bytes;
      }
    }
  }
  return channels;
}

}  // namespace

PictureOverlay plan_overlay(const Topology& topology, const PlanRequest& request, const PlanChoice& choice, uint64_t bytes,
                            const Simulated& simulated, const std::string& title) {
  PictureOverlay overlay{.title = title, .channels = {}, .link_bytes = simulated.edge_bytes, .link_loaded = {}};
  for (uint32_t edge = 0; edge < simulated.edge_bytes.size(); ++edge) {
    overlay.link_loaded.push_back(std::min(1.0, simulated.utilisation(topology.network(), edge)));
  }
  const std::vector<int> shown = pictured_ranks(topology.graph());
  const std::vector<Pairs> channels = sent(*find_algorithm(choice.algorithm), topology, request, choice, bytes, shown);
  std::map<int, std::vector<int>> receivers;  // of all channels
  size_t hidden = 0;
  for (const Pairs& pairs : channels) {
    for (const auto& [pair, sum] : pairs) {
      const auto [found, added] = receivers.try_emplace(pair.first);
      if (added && !std::binary_search(shown.begin(), shown.end(), pair.first)) ++hidden;
      if (hidden <= kMostHiddenSenders) found->second.push_back(pair.second);
    }
  }
  std::map<std::pair<int, int>, std::vector<uint32_t>> ways;
  for (const auto& [from, to] : receivers) {
    std::vector<std::vector<uint32_t>> routes = topology.network().routes_from(from, to);
    for (size_t i = 0; i < to.size(); ++i) ways[{from, to[i]}] = std::move(routes[i]);
  }
  for (size_t c = 0; c < channels.size(); ++c) {
    if (channels[c].empty()) continue;
    PictureChannel& channel = overlay.channels.emplace_back(PictureChannel{.name = std::to_string(c), .hops = {}});
    for (const auto& [pair, sum] : channels[c]) {
      if (const auto way = ways.find(pair); way != ways.end()) channel.hops.push_back({pair.first, pair.second, sum, way->second});
    }
  }
  return overlay;
}

}  // namespace tutti
