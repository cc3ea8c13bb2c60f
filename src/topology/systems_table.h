// What is known of each family of named systems: data only. Internal to topology/.
// Sources: the vendors' public pages, as gathered in shared/facts/systems.md. Rates are decimal GB/s, one way.
// Threading: constants.
#pragma once

#include <array>
#include <span>

namespace tutti::systems {

enum class Fabric {
  kSwitched,   // every chip on one non-blocking switch
  kMesh,       // every chip joined to every other
  kTorus,      // chips joined to their neighbours along each axis, and forwarding
  kDragonfly,  // groups, each a full mesh, every two of them joined
  kTree,       // leaves below a tree of switches whose uplinks have a leaf's rate
  kFatTree,    // hosts below leaf switches, a spine above
  kRails,      // nodes as in kSwitched; NIC i of every node on leaf i, a spine above
  kHosts,      // hosts on one non-blocking network
};

// Which axes of a torus wrap when the name does not say. Axes of size 1 and 2 never do: a size-2 axis is one cable.
enum class WrapRule {
  kNone,
  kWholeCubes,  // all, if every axis is a multiple of 4: slices of whole 4x4x4 cubes, joined by optical switches
  kSixteen,     // axes of 16, a full edge of the pod
  kAll,
};

struct Links {
  const char* kind = "";
  double GBps = 0;
  int count = 1;
  double latency_us = 0;
};

struct Nic {
  double GBps = 0;  // of one NIC
  int chips = 1;    // that share it, all of one node; 0: there is no NIC
  const char* kind = "";
};

struct Row {
  const char* name;
  const char* structure;
  const char* confidence;
  const char* vendor;
  const char* device;
  const char* chip;  // an endpoint is "<unit>/<chip><number>"
  Fabric fabric;
  std::array<int, 3> unit;       // of the name alone: {chips}; of a torus its axes, 0 for one that it has not; of rails {nodes, chips}
  Links links;                   // of an endpoint to its switch or neighbour
  Links last_axis = {};          // of a torus whose last axis has links of its own
  std::array<int, 3> node = {};  // chips of one host: {chips}; of a torus its block
  const char* node_name = "";    // empty: the unit is the node
  WrapRule wrap = WrapRule::kNone;
  Nic nic = {0, 0, ""};
  bool switches_reduce = false;      // unless the name says otherwise
  bool switches_can_reduce = false;  // innetwork=yes is accepted
  bool counts_leaves = false;        // a number after the colon is of hosts or nodes of one unit, not of units
};

std::span<const Row> rows();

}  // namespace tutti::systems
