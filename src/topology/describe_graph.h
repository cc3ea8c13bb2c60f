// A graph as text for people, at most 80 columns wide, equal things together; and as DOT for Graphviz.
// Threading: any thread.
#pragma once

#include <string>

#include "topology/graph.h"

namespace tutti {

std::string describe_graph(const Graph& graph);

// Nodes are clusters; two links that differ in direction only are one edge.
std::string graph_to_dot(const Graph& graph);

}  // namespace tutti
