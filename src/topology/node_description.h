// What the ranks of a node tell the others of its machine: the part of it that shapes plans, in a few hundred bytes. One rank of a node
// finds it out and brings it to the bootstrap (src/comm/bootstrap.h); cluster_graph() draws all nodes' from it.
//
// Invariant of one that is sound (flaw_of): one NUMA node or more, indices that lead somewhere, names that are there and differ.
// Threading: value types; detect_node() from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "topology/machine.h"

namespace tutti {

struct NodeDescription {
  struct Numa {
    int id = 0;       // the system's number
    int package = 0;  // likewise
    uint64_t memory_MiB = 0;
    std::vector<uint16_t> cpus;  // ascending; of a node's only NUMA node it may be empty: who is anywhere is there
    bool operator==(const Numa&) const = default;
  };
  // Below, `numa` and `pci_switch` are indices into the lists; -1: unknown, or none. Rates are of one direction; 0: unknown.
  struct Switch {
    int numa = -1;
    double GBps = 0;  // upwards
    bool operator==(const Switch&) const = default;
  };
  struct Interface {
    std::string name;
    std::string kind;  // as Nic::kind
    int numa = -1;
    int pci_switch = -1;
    double GBps = 0;
    double pcie_GBps = 0;
    bool operator==(const Interface&) const = default;
  };
  struct Accelerator {
    std::string pci_id;
    int numa = -1;
    int pci_switch = -1;
    double pcie_GBps = 0;
    bool operator==(const Accelerator&) const = default;
  };
  std::vector<Numa> numa;
  std::vector<Switch> pci_switches;
  std::vector<Interface> interfaces;  // that Tutti's data goes through
  std::vector<Accelerator> gpus;

  bool operator==(const NodeDescription&) const = default;
};

inline constexpr size_t kMostNumaNodes = 256;
inline constexpr size_t kMostPciDevices = 256;  // of each of the other lists

// What is wrong with it, as the end of a sentence; empty: it is sound.
std::string flaw_of(const NodeDescription& node);

// Of a machine, the network interfaces restricted to those that are named. What is odd about it is left out, with a sentence in `remarks`.
// The result is sound.
NodeDescription describe_node(const Machine& machine, std::span<const std::string> interfaces, std::vector<std::string>& remarks);

// Of this machine. On a plain host (one NUMA node, no driver of a GPU) it takes a few files of /sys; else hwloc looks, once for the
// process, for some tens of milliseconds. What could not be found out is logged at info, a sentence each. Never fails.
NodeDescription detect_node(std::span<const std::string> interfaces, const std::string& root = "");

// Whether hwloc would find more than /sys under `root` tells: several NUMA nodes, GPUs, or what HWLOC_XMLFILE and its like say.
bool needs_hwloc(const std::string& root);

// "2 packages, 4 NUMA nodes of 64 GiB (...), eth0 12.5 GB/s ..."
std::string words_for(const NodeDescription& node);

}  // namespace tutti
