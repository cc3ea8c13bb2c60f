// A graph as the JSON that tutti-topo prints and topology files hold (design.md, section 6):
//
//   {"name", "source", "axes": [{"size", "wrap"}],
//    "endpoints": [{"id", "device", "vendor", "node", "rank", "island", "forwards"}], "switches": [{"id", "reduces", "multicasts"}],
//    "links": [{"from", "to", "GBps", "latency_us", "kind", "count"}]}
//
// axes, island and forwards are written only where they are set. A reader must find endpoints, links, an endpoint's id and node, and a
// link's from, to, GBps and latency_us; what else is missing has the value that graph.h gives it (source: "declared", device: "host").
// Threading: any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "topology/graph.h"

namespace tutti {

// Indented, with a final newline. Bytes that are not UTF-8 become U+FFFD.
std::string graph_to_json(const Graph& graph);

// Strict. Keys that are not known are refused unless they begin with "x-", then they are passed over; so is a graph that contradicts
// itself: names used twice or of nobody, rates that are not above 0, ranks that are not 0 .. n-1 once each, ranks that cannot reach each
// other, axes that are not as the links. Errors (kInvalidArgument): one sentence with `file`, the line, the object and the remedy.
// graph_from_json(graph_to_json(graph)) equals graph, for a graph that is sound.
Result<Graph> graph_from_json(std::string_view text, const std::string& file);

// A topology file: the JSON above, or what hwloc exports as XML (then machine_graph() of that machine).
// Errors: kSystem (the file cannot be read, with the reason), kInvalidArgument.
Result<Graph> read_graph_file(const std::string& path);

}  // namespace tutti
