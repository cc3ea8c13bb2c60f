// Lays the units of named systems into one graph. Internal to topology/.
// Threading: one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "topology/graph.h"
#include "topology/systems_table.h"

namespace tutti::systems {

// One part of a name, checked: what to lay.
struct Part {
  const Row* row = nullptr;
  int units = 1;
  std::vector<Axis> axes;  // of a torus
  int chips = 0;           // of one unit, or of one node of rails; hosts, wafers
  int nodes = 1;           // of rails
  int ports = 64;          // of a switch of the fat tree
  double oversubscription = 1;
  double nic_GBps = 0;
  bool reduces = false;  // the switches do, and multicast
};

class SystemBuilder {
 public:
  // `networked`: several units, whose NICs the switch "network" joins. A single unit stands alone, without NICs.
  SystemBuilder(std::string name, bool networked) : networked_(networked) {
    graph_.name = std::move(name);
    graph_.source = "declared";
  }

  void lay(const Part& part);
  Graph finish();

 private:
  struct Unit {
    const Part& part;
    std::string id;
    int first = 0;  // endpoint
  };

  void lay_chips(const Unit& unit);
  void lay_switched(const Unit& unit, const std::string& at, int first);
  void lay_mesh(const Unit& unit, int first, int chips);
  void lay_torus(const Unit& unit);
  void lay_dragonfly(const Unit& unit);
  void lay_tree(const Unit& unit);
  void lay_fat_tree(const Unit& unit);
  void lay_rails(const Unit& unit);
  void lay_nics(const Unit& unit);
  // A NIC below a switch of the network, and an endpoint above the NIC.
  void lay_nic(const Part& part, const std::string& nic, const std::string& top);
  void join_to_nic(const Part& part, const std::string& nic, int endpoint);

  void endpoint(const Unit& unit, std::string id, std::string node);
  const std::string& id(int endpoint) const { return graph_.endpoints[static_cast<size_t>(endpoint)].id; }
  void add_switch(const Unit& unit, const std::string& id);
  void join(const std::string& a, const std::string& b, const Links& links);

  Graph graph_;
  bool networked_;
  bool uses_network_ = false;
  std::map<std::string, int> units_of_;  // of each family, so far
};

}  // namespace tutti::systems
