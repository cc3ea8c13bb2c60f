// What a rank says of its node: no input may crash the reader, what it accepts is sound and written back the same, and can be drawn.
#include <cstdlib>

#include "comm/node_wire.h"
#include "topology/cluster.h"
#include "topology/topology.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  tutti::Result<tutti::NodeDescription> node = tutti::decode_node(bytes);
  if (!node.ok()) {
    if (node.status().message().empty()) std::abort();
    return 0;
  }
  if (!tutti::flaw_of(node.value()).empty()) std::abort();
  const tutti::Bytes written = tutti::encode_node(node.value());
  if (written.size() <= tutti::kMostNodeBytes) {
    tutti::Result<tutti::NodeDescription> again = tutti::decode_node(written);
    if (!again.ok() || !(again.value() == node.value())) std::abort();
  }
  std::vector<tutti::RankPlace> places;
  for (const tutti::NodeDescription::Numa& numa : node->numa) {
    if (places.size() < tutti::kMostDetailedRanks / 2)
      places.push_back({.node = "a", .device = "host", .vendor = "cpu", .cpus = numa.cpus});
  }
  for (const tutti::NodeDescription::Accelerator& gpu : node->gpus) {
    if (places.size() < tutti::kMostDetailedRanks - 1)
      places.push_back({.node = "a", .device = "cuda", .vendor = "nvidia", .pci_id = gpu.pci_id});
  }
  if (!tutti::Topology::create(tutti::cluster_graph(places, {{"a", node.value()}})).ok()) std::abort();
  places.push_back({.node = "b", .device = "host", .vendor = "cpu"});
  if (!tutti::Topology::create(tutti::cluster_graph(places, {{"a", node.value()}, {"b", node.value()}})).ok()) std::abort();
  return 0;
}
