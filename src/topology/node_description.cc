#include "topology/node_description.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <set>

#include "base/log.h"
#include "topology/host_files.h"
#include "topology/sysfs.h"

namespace tutti {
namespace {

constexpr size_t kMostNameBytes = 64;
constexpr double kMostGBps = 1e6;
constexpr uint64_t kMiB = 1 << 20;

bool sound_rate(double GBps) {
  return std::isfinite(GBps) && GBps >= 0 && GBps <= kMostGBps;
}

// It becomes part of log lines, and of ids, where + and / have a meaning.
bool sound_name(const std::string& name) {
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '+' && c != '/'; });
}

std::string flaw_of_numa_nodes(const std::vector<NodeDescription::Numa>& nodes) {
  if (nodes.empty()) return "has no NUMA node";
  if (nodes.size() > kMostNumaNodes) return "has " + std::to_string(nodes.size()) + " NUMA nodes";
  std::set<int> ids;
  std::set<uint16_t> cpus;
  for (const NodeDescription::Numa& node : nodes) {
    const std::string name = "NUMA node " + std::to_string(node.id);
    if (node.id < 0 || !ids.insert(node.id).second) return "has " + name + " twice";
    if (node.cpus.empty() && nodes.size() > 1) return "has no CPU in " + name;
    if (!std::is_sorted(node.cpus.begin(), node.cpus.end())) return "has the CPUs of " + name + " in no order";
    for (const uint16_t cpu : node.cpus) {
      if (!cpus.insert(cpu).second) return "has CPU " + std::to_string(cpu) + " twice";
    }
  }
  return {};
}

// Of one that hangs below a NUMA node, and perhaps below a switch.
template <class Device>
std::string flaw_of_place(const NodeDescription& node, const Device& device, const std::string& name) {
  const auto leads = [](int index, size_t size) { return index >= -1 && index < static_cast<int>(size); };
  if (!leads(device.numa, node.numa.size())) return "puts " + name + " into a NUMA node that it does not have";
  if (!leads(device.pci_switch, node.pci_switches.size())) return "puts " + name + " below a PCI switch that it does not have";
  return sound_rate(device.pcie_GBps) ? "" : "gives " + name + " an impossible rate";
}

}  // namespace

std::string flaw_of(const NodeDescription& node) {
  if (std::string flaw = flaw_of_numa_nodes(node.numa); !flaw.empty()) return flaw;
  for (const size_t size : {node.pci_switches.size(), node.interfaces.size(), node.gpus.size()}) {
    if (size > kMostPciDevices) return "has " + std::to_string(size) + " devices of a kind";
  }
  for (const NodeDescription::Switch& each : node.pci_switches) {
    if (each.numa < -1 || each.numa >= static_cast<int>(node.numa.size()))
      return "puts a PCI switch into a NUMA node that it does not have";
    if (!sound_rate(each.GBps)) return "gives a PCI switch an impossible rate";
  }
  std::set<std::string> names;
  for (const NodeDescription::Interface& nic : node.interfaces) {
    if (!sound_name(nic.name) || !names.insert(nic.name).second) return "has an interface without a name of its own";
    if (!sound_rate(nic.GBps)) return "gives " + nic.name + " an impossible rate";
    if (nic.kind.size() > kMostNameBytes) return "gives " + nic.name + " an impossible kind";
    if (std::string flaw = flaw_of_place(node, nic, nic.name); !flaw.empty()) return flaw;
  }
  for (const NodeDescription::Accelerator& gpu : node.gpus) {
    if (!sound_name(gpu.pci_id) || !names.insert(gpu.pci_id).second) return "has a GPU without a PCI id of its own";
    if (std::string flaw = flaw_of_place(node, gpu, gpu.pci_id); !flaw.empty()) return flaw;
  }
  return {};
}

namespace {

int package_of(const Machine& machine, const std::vector<int>& pus) {
  for (const Package& package : machine.packages) {
    if (!pus.empty() && std::find(package.pus.begin(), package.pus.end(), pus.front()) != package.pus.end()) return package.id;
  }
  return machine.packages.empty() ? 0 : machine.packages.front().id;
}

// NUMA nodes with cores of their own: memory that shares another node's cores (KNL's MCDRAM, CXL) is nowhere that a rank could be.
std::vector<NodeDescription::Numa> numa_nodes_of(const Machine& machine, std::vector<std::string>& remarks) {
  std::vector<const NumaNode*> ordered;
  for (const NumaNode& node : machine.numa_nodes) ordered.push_back(&node);
  std::stable_sort(ordered.begin(), ordered.end(), [](const NumaNode* a, const NumaNode* b) { return a->id < b->id; });
  std::vector<NodeDescription::Numa> nodes;
  std::set<int> taken;
  for (const NumaNode* node : ordered) {
    NodeDescription::Numa numa{.id = node->id, .package = package_of(machine, node->pus), .memory_MiB = node->memory_bytes / kMiB};
    for (const int pu : node->pus) {
      if (pu >= 0 && pu <= UINT16_MAX && taken.insert(pu).second) numa.cpus.push_back(static_cast<uint16_t>(pu));
    }
    std::sort(numa.cpus.begin(), numa.cpus.end());
    if (numa.cpus.empty()) {
      remarks.push_back("NUMA node " + std::to_string(node->id) + " has no cores of its own: no rank is placed there");
    } else if (nodes.size() < kMostNumaNodes) {
      nodes.push_back(std::move(numa));
    }
  }
  if (nodes.empty()) nodes.push_back({.memory_MiB = machine.memory_bytes / kMiB});
  return nodes;
}

int index_of_numa(const NodeDescription& node, int id) {
  const auto found = std::find_if(node.numa.begin(), node.numa.end(), [&](const NodeDescription::Numa& numa) { return numa.id == id; });
  return found == node.numa.end() ? -1 : static_cast<int>(found - node.numa.begin());
}

double or_unknown(double GBps) {
  return sound_rate(GBps) ? GBps : 0;
}

// The index of a PCI switch, which is added at its first device; -1 where there is none.
class Switches {
 public:
  Switches(const Machine& machine, NodeDescription& node) : machine_(machine), node_(node) {}

  int index_of(const std::string& pci_id) {
    const auto known = std::find(ids_.begin(), ids_.end(), pci_id);
    if (known != ids_.end()) return static_cast<int>(known - ids_.begin());
    const auto found = std::find_if(machine_.pci_switches.begin(), machine_.pci_switches.end(),
                                    [&](const PciSwitch& each) { return each.pci_id == pci_id; });
    if (found == machine_.pci_switches.end() || ids_.size() == kMostPciDevices) return -1;
    ids_.push_back(pci_id);
    node_.pci_switches.push_back({.numa = index_of_numa(node_, found->numa), .GBps = or_unknown(found->pcie_GBps)});
    return static_cast<int>(ids_.size()) - 1;
  }

 private:
  const Machine& machine_;
  NodeDescription& node_;
  std::vector<std::string> ids_;
};

void add_interfaces(const Machine& machine, std::span<const std::string> names, Switches& switches, NodeDescription& node,
                    std::vector<std::string>& remarks) {
  for (const std::string& name : std::set<std::string>(names.begin(), names.end())) {
    const auto nic = std::find_if(machine.nics.begin(), machine.nics.end(), [&](const Nic& each) { return each.name == name; });
    if (nic == machine.nics.end() || !sound_name(name) || node.interfaces.size() == kMostPciDevices) {
      remarks.push_back("/sys does not know the network interface " + name + ", which is in use: its rate is a guess");
      continue;
    }
    if (nic->speed_Mbps == 0) remarks.push_back("the network interface " + name + " does not tell its speed: a guess serves");
    node.interfaces.push_back({.name = name,
                               .kind = nic->kind,
                               .numa = index_of_numa(node, nic->numa),
                               .pci_switch = switches.index_of(nic->pci_switch),
                               .GBps = or_unknown(static_cast<double>(nic->speed_Mbps) / 8000),
                               .pcie_GBps = or_unknown(nic->pcie_GBps)});
  }
}

}  // namespace

NodeDescription describe_node(const Machine& machine, std::span<const std::string> interfaces, std::vector<std::string>& remarks) {
  remarks.insert(remarks.end(), machine.remarks.begin(), machine.remarks.end());
  NodeDescription node{.numa = numa_nodes_of(machine, remarks)};
  Switches switches(machine, node);
  add_interfaces(machine, interfaces, switches, node, remarks);
  for (const Gpu& gpu : machine.gpus) {
    if (gpu.device.empty() || node.gpus.size() == kMostPciDevices) continue;  // no rank could have its buffers there
    const auto twice = [&](const NodeDescription::Accelerator& other) { return other.pci_id == gpu.pci_id; };
    if (!sound_name(gpu.pci_id) || std::any_of(node.gpus.begin(), node.gpus.end(), twice)) continue;
    node.gpus.push_back({.pci_id = gpu.pci_id,
                         .numa = index_of_numa(node, gpu.numa),
                         .pci_switch = switches.index_of(gpu.pci_switch),
                         .pcie_GBps = or_unknown(gpu.pcie_GBps)});
  }
  return node;
}

bool needs_hwloc(const std::string& root) {
  for (const char* name : {"HWLOC_XMLFILE", "HWLOC_SYNTHETIC", "HWLOC_FSROOT", "HWLOC_COMPONENTS"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return true;
  }
  const std::vector<std::string> names = sysfs::list(root + "/sys/devices/system/node");
  const auto is_node = [](const std::string& name) {
    return name.size() > 4 && name.rfind("node", 0) == 0 && name[4] >= '0' && name[4] <= '9';
  };
  if (std::count_if(names.begin(), names.end(), is_node) > 1) return true;
  return sysfs::exists(root + "/sys/module/nvidia") || sysfs::exists(root + "/sys/module/amdgpu");
}

namespace {

// The machine as hwloc sees it does not change while the process lives. What it would take to look again, every communicator would pay.
Machine machine_by_hwloc(const std::string& root) {
  static std::mutex mutex;
  static std::optional<Machine> kept;  // guarded by mutex
  std::lock_guard lock(mutex);
  if (!root.empty()) return std::move(*detect_machine({.root = root}));  // a test's
  if (!kept) kept = std::move(*detect_machine());
  return *kept;
}

// Interfaces come and go, so they are looked at each time. Of those that hwloc knows too, it may know more of their place.
void refresh_interfaces(const std::string& root, Machine& machine) {
  std::vector<Nic> nics = detect_nics(root);
  for (Nic& nic : nics) {
    const auto known = std::find_if(machine.nics.begin(), machine.nics.end(), [&](const Nic& each) { return each.name == nic.name; });
    if (known == machine.nics.end()) continue;
    nic.pci_switch = known->pci_switch;
    nic.numa = known->numa;
    if (known->pcie_GBps > 0) nic.pcie_GBps = known->pcie_GBps;
  }
  machine.nics = std::move(nics);
}

}  // namespace

NodeDescription detect_node(std::span<const std::string> interfaces, const std::string& root) {
  Machine machine;
  if (needs_hwloc(root)) {
    machine = machine_by_hwloc(root);
    refresh_interfaces(root, machine);
  } else {
    if (!interfaces.empty()) machine.nics = detect_nics(root);
    machine.memory_bytes = detect_memory_bytes(root);
  }
  std::vector<std::string> remarks;
  NodeDescription node = describe_node(machine, interfaces, remarks);
  for (const std::string& remark : remarks) log_info("this machine: " + remark);
  return node;
}

std::string words_for(const NodeDescription& node) {
  std::set<int> packages;
  std::string memories;
  for (const NodeDescription::Numa& numa : node.numa) {
    packages.insert(numa.package);
    memories += (memories.empty() ? "" : ", ") + std::to_string(numa.memory_MiB) + " MiB";
  }
  const auto count = [](size_t n, const char* what, const char* plural = "s") {
    return std::to_string(n) + " " + what + (n == 1 ? "" : plural);
  };
  std::string words = count(packages.size(), "package") + ", " + count(node.numa.size(), "NUMA node") + " (" + memories + ")";
  if (!node.pci_switches.empty()) words += ", " + count(node.pci_switches.size(), "PCI switch", "es");
  if (!node.gpus.empty()) words += ", " + count(node.gpus.size(), "GPU");
  for (const NodeDescription::Interface& nic : node.interfaces) {
    char rate[48];
    std::snprintf(rate, sizeof rate, " %.4g GB/s", nic.GBps);
    words += ", " + nic.name + (nic.GBps > 0 ? rate : " of unknown speed");
    if (nic.numa >= 0 && node.numa.size() > 1) words += " at NUMA node " + std::to_string(node.numa[static_cast<size_t>(nic.numa)].id);
  }
  return words;
}

}  // namespace tutti
