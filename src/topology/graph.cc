#include "topology/graph.h"

#include <cstring>
#include <string_view>
#include <unordered_map>

namespace tutti {

Graph graph_of_ranks(Graph graph, const std::vector<int>& ranks) {
  std::unordered_map<int, int> number;
  for (size_t i = 0; i < ranks.size(); ++i) number.emplace(ranks[i], static_cast<int>(i));
  bool same = true;
  for (Endpoint& endpoint : graph.endpoints) {
    const auto found = number.find(endpoint.rank);
    const int rank = endpoint.rank < 0 || found == number.end() ? -1 : found->second;
    same &= rank == endpoint.rank;
    endpoint.rank = rank;
  }
  if (!same) graph.axes.clear();
  return graph;
}

namespace {

class Digest {
 public:
  uint64_t value() const { return value_; }
  void add(std::string_view bytes) {
    add(static_cast<uint64_t>(bytes.size()));
    for (const char c : bytes) mix(static_cast<unsigned char>(c));
  }
  void add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) mix(static_cast<unsigned char>(number >> shift));
  }
  void add(double number) {
    uint64_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    add(bits);
  }

 private:
  void mix(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3ull; }  // FNV-1a
  uint64_t value_ = 0xcbf29ce484222325ull;
};

}  // namespace

uint64_t graph_digest(const Graph& graph) {
  Digest digest;
  digest.add(graph.source);  // measured rules hold for what is detected
  for (const size_t size : {graph.axes.size(), graph.endpoints.size(), graph.switches.size(), graph.links.size()})
    digest.add(static_cast<uint64_t>(size));
  for (const Axis& axis : graph.axes) digest.add(static_cast<uint64_t>(axis.size) << 1 | (axis.wrap ? 1 : 0));
  for (const Endpoint& e : graph.endpoints) {
    for (const std::string* text : {&e.id, &e.device, &e.vendor, &e.node, &e.island}) digest.add(*text);
    digest.add(static_cast<uint64_t>(static_cast<int64_t>(e.rank)) << 1 | (e.forwards ? 1 : 0));
  }
  for (const Switch& s : graph.switches) {
    digest.add(s.id);
    digest.add(static_cast<uint64_t>((s.reduces ? 2 : 0) | (s.multicasts ? 1 : 0)));
  }
  for (const Link& l : graph.links) {
    for (const std::string* text : {&l.from, &l.to, &l.kind}) digest.add(*text);
    digest.add(l.GBps);
    digest.add(l.latency_us);
    digest.add(static_cast<uint64_t>(l.count));
  }
  return digest.value();
}

}  // namespace tutti
