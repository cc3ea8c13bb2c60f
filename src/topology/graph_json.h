// A graph as the JSON that tutti-topo prints and topology files hold (design.md, section 6).
// Threading: any thread.
#pragma once

#include <string>

#include "topology/graph.h"

namespace tutti {

// {"name","source","endpoints","switches","links"}, indented, with a final newline. Bytes that are not UTF-8 become U+FFFD.
std::string graph_to_json(const Graph& graph);

}  // namespace tutti
