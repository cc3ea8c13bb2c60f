// The machine as a graph: endpoints (what holds a rank's buffers), switches, and directed links with rate and latency. The planner
// and the algorithms see nothing else of a machine. All ranks hold the same graph.
// Threading: a value type; immutable once handed out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tutti {

struct Endpoint {
  std::string id;
  std::string device;  // "host", "cuda", "hip", or a plug-in's
  std::string vendor;
  std::string node;
  int rank = -1;
  std::string island = {};  // ranks joined by one vendor's own links; empty: the node
  bool forwards = false;    // passes other endpoints' messages on in hardware, as the chips of a torus do

  bool operator==(const Endpoint&) const = default;
};

struct Switch {
  std::string id;
  bool reduces = false;
  bool multicasts = false;

  bool operator==(const Switch&) const = default;
};

// One direction. GBps = 10^9 bytes/s of one of `count` parallel links.
struct Link {
  std::string from;
  std::string to;
  double GBps = 0;
  double latency_us = 0;
  std::string kind;
  int count = 1;

  bool operator==(const Link&) const = default;
};

// One axis of a torus, or where it does not wrap, of a mesh.
struct Axis {
  int size = 1;
  bool wrap = false;

  bool operator==(const Axis&) const = default;
};

// What a rank's own work takes, where it was measured while all ranks worked; 0: it was not, and is taken to be nominal.
struct Costs {
  double message_us = 0;   // between two messages that one rank sends, however small
  double copy_GBps = 0;    // 10^9 bytes of result a second
  double reduce_GBps = 0;  // likewise, of a sum of two float32

  bool operator==(const Costs&) const = default;
};

struct Graph {
  std::string name;
  std::string source;           // "detected", "declared", "measured"
  std::vector<Axis> axes = {};  // empty: no torus. Else the endpoints are its places, in row-major order (the last axis the fastest)
  std::vector<Endpoint> endpoints;
  std::vector<Switch> switches;
  std::vector<Link> links;
  Costs costs = {};

  bool operator==(const Graph&) const = default;
};

// The same machine for a communicator of some of its ranks: the rank ranks[i] becomes i, other endpoints have none. Axes remain only where
// all ranks do, in their order.
Graph graph_of_ranks(Graph graph, const std::vector<int>& ranks);

// Equal for equal graphs. Unlike graph_json.h's graph_hash(), cheap: every rank of a communicator computes it.
uint64_t graph_digest(const Graph& graph);

}  // namespace tutti
