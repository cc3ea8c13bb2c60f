// Topology files: no input may crash the reader, and a graph that it accepts is sound and is read back the same.
#include <cstdlib>

#include "topology/graph_json.h"
#include "topology/topology.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tutti::Result<tutti::Graph> graph = tutti::graph_from_json(text, "fuzzed");
  if (!graph.ok()) {
    if (graph.status().message().empty()) std::abort();
    return 0;
  }
  if (!tutti::Topology::create(*graph).ok()) std::abort();
  tutti::Result<tutti::Graph> again = tutti::graph_from_json(tutti::graph_to_json(*graph), "written");
  if (!again.ok() || !(*again == *graph)) std::abort();
  return 0;
}
