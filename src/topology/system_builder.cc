#include "topology/system_builder.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_set>

namespace tutti::systems {
namespace {

const std::string kNetwork = "network";

// Of the way from an endpoint through its NIC to the first switch, in two links: of the figure for a whole way (systems_table.cc), PCIe
// takes 0.5 us at each end, and each NIC's cable half of the rest; a switch adds what the links between switches have.
constexpr double kPcieUs = 0.5;

struct WireTime {
  double nic_us;       // NIC to switch
  double switches_us;  // switch to switch
};

WireTime wire_time(std::string_view kind) {
  if (kind == "infiniband" || kind == "roce") return {0.9, 0.3};
  if (kind == "efa") return {7, 0.5};
  if (kind == "ethernet") return {4.5, 0.5};
  return {1, 0.5};  // vendors' own links that leave the unit as they are
}

std::string numbered(const std::string& prefix, const char* noun, int number) {
  return prefix + "/" + noun + std::to_string(number);
}

int blocks(int size, int block) {
  return (size + block - 1) / block;
}

}  // namespace

void SystemBuilder::endpoint(const Unit& unit, std::string id, std::string node) {
  const Row& row = *unit.part.row;
  // Where the unit is one node, its endpoints need no island of their own; nor do hosts that share nothing but a network.
  const bool own_links = row.node_name[0] != '\0' && row.fabric != Fabric::kRails;
  const bool forwards = row.fabric == Fabric::kTorus || row.fabric == Fabric::kDragonfly;
  graph_.endpoints.push_back({.id = std::move(id),
                              .device = row.device,
                              .vendor = row.vendor,
                              .node = std::move(node),
                              .rank = static_cast<int>(graph_.endpoints.size()),
                              .island = own_links ? unit.id : std::string(),
                              .forwards = forwards});
}

void SystemBuilder::add_switch(const Unit& unit, const std::string& id) {
  graph_.switches.push_back({.id = id, .reduces = unit.part.reduces, .multicasts = unit.part.reduces});
}

void SystemBuilder::join(const std::string& a, const std::string& b, const Links& links) {
  const Link link{.from = a, .to = b, .GBps = links.GBps, .latency_us = links.latency_us, .kind = links.kind, .count = links.count};
  graph_.links.push_back(link);
  graph_.links.push_back(link);
  std::swap(graph_.links.back().from, graph_.links.back().to);
}

void SystemBuilder::lay(const Part& part) {
  for (int i = 0; i < part.units; ++i) {
    const int number = units_of_[part.row->name]++;
    const Unit unit{part, std::string(part.row->name) + "-" + std::to_string(number), static_cast<int>(graph_.endpoints.size())};
    switch (part.row->fabric) {
      case Fabric::kSwitched:
        lay_chips(unit);
        lay_switched(unit, unit.id, unit.first);
        lay_nics(unit);
        break;
      case Fabric::kMesh:
        lay_chips(unit);
        lay_mesh(unit, unit.first, part.chips);
        lay_nics(unit);
        break;
      case Fabric::kTorus:
        lay_torus(unit);
        lay_nics(unit);
        break;
      case Fabric::kDragonfly:
        lay_chips(unit);
        lay_dragonfly(unit);
        break;
      case Fabric::kTree:
        lay_chips(unit);
        lay_tree(unit);
        break;
      case Fabric::kFatTree:
        lay_chips(unit);
        lay_fat_tree(unit);
        break;
      case Fabric::kRails: lay_rails(unit); break;
      case Fabric::kHosts:
        lay_chips(unit);
        for (int host = 0; host < part.chips; ++host) {
          const std::string nic = numbered(unit.id, "nic", host);
          lay_nic(part, nic, kNetwork);
          join_to_nic(part, nic, unit.first + host);
        }
        break;
    }
  }
}

Graph SystemBuilder::finish() {
  if (uses_network_) graph_.switches.push_back({.id = kNetwork});
  return std::move(graph_);
}

void SystemBuilder::lay_chips(const Unit& unit) {
  const Row& row = *unit.part.row;
  for (int i = 0; i < unit.part.chips; ++i) {
    const std::string node =
        row.node[0] == 0 ? unit.id : numbered(unit.id, row.node_name[0] != '\0' ? row.node_name : row.chip, i / row.node[0]);
    endpoint(unit, numbered(unit.id, row.chip, i), node);
  }
}

void SystemBuilder::lay_switched(const Unit& unit, const std::string& at, int first) {
  const Row& row = *unit.part.row;
  const std::string name = at + (std::string_view(row.vendor) == "nvidia" ? "/nvswitch" : "/switch");
  add_switch(unit, name);
  for (int i = 0; i < unit.part.chips; ++i) join(id(first + i), name, row.links);
}

void SystemBuilder::lay_mesh(const Unit& unit, int first, int chips) {
  for (int a = 0; a < chips; ++a) {
    for (int b = a + 1; b < chips; ++b) join(id(first + a), id(first + b), unit.part.row->links);
  }
}

void SystemBuilder::lay_torus(const Unit& unit) {
  const Row& row = *unit.part.row;
  const std::vector<Axis>& axes = unit.part.axes;
  std::vector<int> place(axes.size(), 0);
  for (int chip = 0; chip < unit.part.chips; ++chip) {
    std::string at;
    int host = 0;
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      at += (axis == 0 ? "" : ",") + std::to_string(place[axis]);
      host = host * blocks(axes[axis].size, row.node[axis]) + place[axis] / row.node[axis];
    }
    endpoint(unit, unit.id + "/" + at, numbered(unit.id, row.node_name, host));
    for (size_t axis = axes.size(); axis-- > 0 && ++place[axis] == axes[axis].size;) place[axis] = 0;
  }
  for (size_t axis = 0, stride = static_cast<size_t>(unit.part.chips); axis < axes.size(); ++axis) {
    const int size = axes[axis].size;
    stride /= static_cast<size_t>(size);
    Links links = axis + 1 == axes.size() && row.last_axis.GBps > 0 ? row.last_axis : row.links;
    if (size == 2 && axes[axis].wrap) links.count *= 2;
    for (int chip = 0; chip < unit.part.chips; ++chip) {
      const int at = chip / static_cast<int>(stride) % size;
      const int next = at + 1 < size ? at + 1 : axes[axis].wrap && size > 2 ? 0 : at;
      if (next != at) join(id(unit.first + chip), id(unit.first + chip + (next - at) * static_cast<int>(stride)), links);
    }
  }
  if (!networked_) graph_.axes = axes;
}

// Eight groups of eight chips, and a ninth as spare: of its four global links a chip gives, each group has four to each of the eight
// others. The spare's chips hold no ranks, but they pass on: it is one switch.
void SystemBuilder::lay_dragonfly(const Unit& unit) {
  constexpr int kGroups = 8, kChips = 8, kLinks = 4;
  const Row& row = *unit.part.row;
  const std::string spare = unit.id + "/spare";
  add_switch(unit, spare);
  for (int group = 0; group < kGroups; ++group) lay_mesh(unit, unit.first + group * kChips, kChips);
  for (int a = 0; a < kGroups; ++a) {
    for (int b = a + 1; b <= kGroups; ++b) {
      for (int link = 0; link < kLinks; ++link) {
        // Global link d*4+k of a group leads to the group d+1 further on, and starts at a chip in turn.
        const int from = a * kChips + ((b - a - 1) * kLinks + link) % kChips;
        const int to = b * kChips + ((kGroups + a - b) * kLinks + link) % kChips;
        join(id(unit.first + from), b == kGroups ? spare : id(unit.first + to), row.links);
      }
    }
  }
}

// A switch for every four, up to one: as broadcasts go down and reductions up at line rate, an uplink has a leaf's rate.
void SystemBuilder::lay_tree(const Unit& unit) {
  constexpr size_t kFanOut = 4;
  const Row& row = *unit.part.row;
  std::vector<std::string> level;
  for (int i = 0; i < unit.part.chips; ++i) level.push_back(id(unit.first + i));
  for (int height = 1; level.size() > 1 || height == 1; ++height) {
    std::vector<std::string> above;
    for (size_t i = 0; i < level.size(); ++i) {
      if (i % kFanOut == 0) {
        above.push_back(unit.id + "/" + row.links.kind + std::to_string(height) + "." + std::to_string(i / kFanOut));
        add_switch(unit, above.back());
      }
      join(level[i], above.back(), row.links);
    }
    level = std::move(above);
  }
  if (!networked_) return;
  uses_network_ = true;
  join(level.front(), kNetwork, row.links);
}

// The spine, and in a tree of three levels each pod's, stands as one switch with the room of all its switches: which of them a message
// crosses makes no difference when traffic is spread.
void SystemBuilder::lay_fat_tree(const Unit& unit) {
  const Part& part = unit.part;
  const WireTime wire = wire_time(part.row->nic.kind);
  const double ratio = part.oversubscription;
  const int down = std::max(1, static_cast<int>(std::floor(part.ports * ratio / (1 + ratio)))), up = std::max(1, part.ports - down);
  const int leaves = blocks(part.chips, down);
  const Links uplink{part.row->links.kind, part.nic_GBps * down / ratio / up, up, wire.switches_us};
  const std::string spine = unit.id + "/spine";
  const bool pods = leaves > part.ports;  // more than a spine switch has ports
  const int pod_leaves = part.ports / 2;
  for (int leaf = 0; leaf < leaves; ++leaf) {
    const std::string name = numbered(unit.id, "leaf", leaf);
    add_switch(unit, name);
    for (int host = leaf * down; host < std::min((leaf + 1) * down, part.chips); ++host) {
      const std::string nic = numbered(unit.id, "nic", host);
      lay_nic(part, nic, name);
      join_to_nic(part, nic, unit.first + host);
    }
    if (leaves > 1) join(name, pods ? numbered(unit.id, "pod", leaf / pod_leaves) : spine, uplink);
  }
  for (int pod = 0; pods && pod < blocks(leaves, pod_leaves); ++pod) {
    Links above = uplink;
    above.count *= std::min(pod_leaves, leaves - pod * pod_leaves);
    add_switch(unit, numbered(unit.id, "pod", pod));
    join(numbered(unit.id, "pod", pod), spine, above);
  }
  if (leaves > 1) add_switch(unit, spine);
  if (!networked_) return;
  uses_network_ = true;
  join(leaves > 1 ? spine : numbered(unit.id, "leaf", 0), kNetwork,
       {part.row->links.kind, part.nic_GBps / ratio, part.chips, wire.switches_us});
}

void SystemBuilder::lay_rails(const Unit& unit) {
  const Part& part = unit.part;
  const WireTime wire = wire_time(part.row->nic.kind);
  const Links uplink{part.row->nic.kind, part.nic_GBps / part.oversubscription, part.nodes, wire.switches_us};
  const std::string spine = unit.id + "/spine";
  for (int rail = 0; rail < part.chips; ++rail) {
    add_switch(unit, numbered(unit.id, "leaf", rail));
    if (part.chips > 1) join(numbered(unit.id, "leaf", rail), spine, uplink);
  }
  if (part.chips > 1) add_switch(unit, spine);
  for (int n = 0; n < part.nodes; ++n) {
    const std::string node = numbered(unit.id, part.row->node_name, n);
    const int first = static_cast<int>(graph_.endpoints.size());
    for (int i = 0; i < part.chips; ++i) endpoint(unit, numbered(node, part.row->chip, i), node);
    lay_switched(unit, node, first);
    for (int i = 0; i < part.chips; ++i) {
      lay_nic(part, numbered(node, "nic", i), numbered(unit.id, "leaf", i));
      join_to_nic(part, numbered(node, "nic", i), first + i);
    }
  }
  if (!networked_) return;
  uses_network_ = true;
  Links all = uplink;
  all.count *= part.chips;
  join(part.chips > 1 ? spine : numbered(unit.id, "leaf", 0), kNetwork, all);
}

void SystemBuilder::lay_nics(const Unit& unit) {
  if (!networked_) return;
  const Part& part = unit.part;
  const bool shared = part.row->nic.chips > 1;  // by the chips of a node
  std::unordered_set<std::string> laid;
  for (int i = 0; i < part.chips; ++i) {
    const Endpoint& endpoint = graph_.endpoints[static_cast<size_t>(unit.first + i)];
    const std::string nic = shared ? endpoint.node + "/nic" : numbered(unit.id, "nic", i);
    if (laid.insert(nic).second) lay_nic(part, nic, kNetwork);
    join_to_nic(part, nic, unit.first + i);
  }
}

void SystemBuilder::lay_nic(const Part& part, const std::string& nic, const std::string& top) {
  uses_network_ |= top == kNetwork;
  graph_.switches.push_back({.id = nic});
  join(nic, top, {part.row->nic.kind, part.nic_GBps, 1, wire_time(part.row->nic.kind).nic_us});
}

void SystemBuilder::join_to_nic(const Part& part, const std::string& nic, int endpoint) {
  join(id(endpoint), nic, {"pcie", part.nic_GBps, 1, kPcieUs});
}

}  // namespace tutti::systems
