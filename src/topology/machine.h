// The machine as found: packages, NUMA nodes, caches, cores, network interfaces, GPUs, and what this process may use of them.
// What cannot be read (containers, virtual machines, foreign kernels) is left at a value that says so; detection does not fail on it.
// Invariant: there is at least one NUMA node, one core and one allowed PU; lists of PUs are sorted and hold the system's numbers.
// Threading: value types; detect_machine() may be called from any thread and keeps nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "topology/graph.h"

namespace tutti {

struct Package {
  int id = 0;
  std::string model;  // empty: unknown
  std::vector<int> pus;
};

struct NumaNode {
  int id = 0;
  uint64_t memory_bytes = 0;  // 0: unknown. Never size a buffer from it: hwloc and hypervisors err.
  std::vector<int> pus;       // empty: memory without cores (CXL, a GPU's)
};

struct Cache {
  std::string name;  // "L1d", "L1i", "L2", "L3"
  int level = 0;
  uint64_t size_bytes = 0;
  std::vector<int> pus;  // who shares it
};

struct Core {
  std::vector<int> pus;  // more than one with simultaneous multithreading
};

enum class NicState : uint8_t { kUnknown, kUp, kDown };

struct Nic {
  std::string name;
  std::string kind;         // ethernet, infiniband, wireless; of virtual ones veth, bridge, bond, vlan, tun, vf, ... or "virtual"
  bool is_virtual = false;  // no hardware of its own: its bytes pass through another interface or none
  NicState state = NicState::kUnknown;
  uint64_t speed_Mbps = 0;  // 0: unknown
  std::string pci_id;       // "0000:00:03.0"; empty: not on PCI
  int numa = -1;            // -1: unknown
  double pcie_GBps = 0;     // 0: unknown
  std::string pci_switch;   // Machine::pci_switches' id; empty: none known
};

struct Gpu {
  std::string pci_id;
  std::string vendor;  // "nvidia", "amd", "intel", else the PCI vendor id in hex
  std::string device;  // the Tutti device that drives it: "cuda", "hip"; empty: none of ours
  std::string model;   // the driver's name for it, else "vendor:device" in hex
  int numa = -1;
  double pcie_GBps = 0;    // 0: unknown
  std::string pci_switch;  // as Nic's
};

// A PCIe switch below a root port: what hangs below it shares its way up, and reaches each other without it.
struct PciSwitch {
  std::string pci_id;  // of its upstream port
  int numa = -1;
  double pcie_GBps = 0;  // upwards; 0: unknown
};

struct Machine {
  std::string host;
  std::string kernel;
  bool this_system = true;  // false: imported or synthetic, nothing may be bound to it
  std::vector<Package> packages;
  std::vector<NumaNode> numa_nodes;
  std::vector<Cache> caches;
  std::vector<Core> cores;
  std::vector<int> allowed_pus;  // cpuset and affinity of the calling thread
  double cpu_quota = 0;          // cores' worth of time that the control group grants; 0: no limit
  uint64_t memory_bytes = 0;
  uint64_t memory_limit_bytes = 0;  // the control group's; 0: none
  uint64_t shm_bytes = 0;           // /dev/shm; 0: there is none
  uint64_t shm_free_bytes = 0;
  std::vector<Nic> nics;  // without loopback
  std::vector<Gpu> gpus;
  std::vector<PciSwitch> pci_switches;  // with NICs or GPUs below them
  std::vector<std::string> remarks;     // a sentence for each thing that could not be found out, and was left at its default
};

// Where to look. The defaults mean this machine; tests name files or a synthetic topology instead. At most one of xml and synthetic.
struct MachineSource {
  std::string xml;        // an hwloc XML file
  std::string synthetic;  // an hwloc synthetic description, e.g. "pack:2 numa:1(memory=1GB) core:4 pu:1"
  std::string root;       // prefix of /sys and /proc
};

// Blocks for the tens of milliseconds that hwloc takes. Errors: kInvalidArgument, when `source` names a topology that hwloc refuses.
// Of this machine it always succeeds.
Result<Machine> detect_machine(const MachineSource& source = {});

// The canonical graph: one host endpoint ("numaN") per NUMA node with cores, all joined by the switch "memory"; one endpoint ("gpuN")
// per GPU that Tutti can drive; NICs that are up are switches under their own names between a root complex ("pcieN") and "network", or
// between a PCIe switch ("pcieswitchN", below a root complex) and that.
// Rates are nominal.
Graph machine_graph(const Machine& machine);

}  // namespace tutti
