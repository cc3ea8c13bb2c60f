#include "topology/show.h"

#include <algorithm>
#include <map>

#include "topology/text_lines.h"

namespace tutti {

namespace {

std::string bytes(uint64_t count) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(count);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  const bool whole = value == static_cast<double>(static_cast<uint64_t>(value)) || value >= 100;
  return text(whole ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

// "0-7,16,18": a sorted list.
std::string ranges(const std::vector<int>& numbers) {
  std::string result;
  for (size_t begin = 0; begin < numbers.size();) {
    size_t end = begin + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (!result.empty()) result += ",";
    result += std::to_string(numbers[begin]);
    if (end - begin > 1) result.append("-").append(std::to_string(numbers[end - 1]));
    begin = end;
  }
  return result;
}

bool meets(const std::vector<int>& a, const std::vector<int>& b) {
  return std::any_of(a.begin(), a.end(), [&](int pu) { return std::binary_search(b.begin(), b.end(), pu); });
}

size_t total_pus(const Machine& machine) {
  size_t count = 0;
  for (const Core& core : machine.cores) count += core.pus.size();
  return count;
}

void show_head(const Machine& machine, std::string& out) {
  const size_t pus = total_pus(machine);
  line(out, machine.host + (machine.kernel.empty() ? "" : "  " + machine.kernel));
  line(out, plural(machine.packages.size(), "package") + ", " + plural(machine.numa_nodes.size(), "NUMA node") + ", " +
                plural(machine.cores.size(), "core") + ", " + plural(pus, "PU") + ", " + bytes(machine.memory_bytes) + " of memory");
  if (machine.allowed_pus.size() < pus) {
    line(out, "this process may run on " + plural(machine.allowed_pus.size(), "PU") + ": " + ranges(machine.allowed_pus));
  }
  if (machine.cpu_quota > 0) line(out, text("its control group grants the time of %.4g PUs", machine.cpu_quota));
  if (machine.memory_limit_bytes > 0) line(out, "its control group limits memory to " + bytes(machine.memory_limit_bytes));
}

// The caches of some PUs, alike ones on one line: "L2   1 MiB x 8   each shared by 2 PUs".
void show_caches(const Machine& machine, const std::vector<int>& pus, std::string& out) {
  struct Kind {
    const Cache* cache;
    size_t count;
  };
  std::vector<Kind> kinds;
  for (const Cache& cache : machine.caches) {
    if (!meets(cache.pus, pus)) continue;
    const auto alike = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& kind) {
      return kind.cache->name == cache.name && kind.cache->size_bytes == cache.size_bytes && kind.cache->pus.size() == cache.pus.size();
    });
    if (alike == kinds.end()) {
      kinds.push_back({&cache, 1});
    } else {
      ++alike->count;
    }
  }
  for (const Kind& kind : kinds) {
    const std::string count = kind.count == 1 ? "" : " x " + std::to_string(kind.count);
    const size_t sharers = kind.cache->pus.size();
    line(out, text("    %-4s  %-18s  ", kind.cache->name.c_str(), (bytes(kind.cache->size_bytes) + count).c_str()) +
                  (sharers == 1 ? "one per PU" : "shared by " + std::to_string(sharers) + " PUs"));
  }
}

void show_numa_node(const Machine& machine, const NumaNode& node, std::string& out) {
  size_t cores = 0;
  size_t threads = 1;
  for (const Core& core : machine.cores) {
    if (!meets(core.pus, node.pus)) continue;
    ++cores;
    threads = std::max(threads, core.pus.size());
  }
  std::string content = text("  NUMA %d: ", node.id) + bytes(node.memory_bytes);
  if (cores > 0) content += ", " + plural(cores, "core") + (threads > 1 ? text(" of %zu PUs", threads) : "") + ", PUs " + ranges(node.pus);
  line(out, content);
  show_caches(machine, node.pus, out);
}

std::string package_title(const std::vector<const Package*>& group) {
  std::vector<int> ids;
  for (const Package* package : group) ids.push_back(package->id);
  std::sort(ids.begin(), ids.end());
  const std::string model = group.front()->model;
  return (ids.size() == 1 ? "Package " : "Packages ") + ranges(ids) + (model.empty() ? "" : ": " + model);
}

// Packages that lie in one NUMA node (a hypervisor's many one-core sockets) go under one heading, so that the node appears once.
void show_processors(const Machine& machine, std::string& out) {
  std::map<const NumaNode*, std::vector<const Package*>> spanning;
  std::vector<const NumaNode*> shown;
  for (const NumaNode& node : machine.numa_nodes) {
    for (const Package& package : machine.packages) {
      if (meets(package.pus, node.pus)) spanning[&node].push_back(&package);
    }
  }
  for (const NumaNode& node : machine.numa_nodes) {
    if (node.pus.empty() || std::find(shown.begin(), shown.end(), &node) != shown.end()) continue;
    const std::vector<const Package*>& group = spanning[&node];
    if (group.empty()) continue;
    line(out, "");
    line(out, package_title(group));
    for (const NumaNode& other : machine.numa_nodes) {
      if (spanning[&other] != group) continue;
      show_numa_node(machine, other, out);
      shown.push_back(&other);
    }
  }
  for (const NumaNode& node : machine.numa_nodes) {
    if (node.pus.empty()) line(out, text("NUMA %d: ", node.id) + bytes(node.memory_bytes) + ", memory without cores");
  }
}

std::string speed(uint64_t Mbps) {
  if (Mbps == 0) return "speed unknown";
  return Mbps % 1000 == 0 ? text("%llu Gbit/s", static_cast<unsigned long long>(Mbps / 1000))
                          : text("%.4g Gbit/s", static_cast<double>(Mbps) / 1000);
}

std::string location(const std::string& pci_id, int numa) {
  return (pci_id.empty() ? "" : "PCI " + pci_id) + (numa < 0 ? "" : text("%sNUMA %d", pci_id.empty() ? "" : ", ", numa));
}

void show_network(const Machine& machine, std::string& out) {
  constexpr const char* kStates[] = {"unknown", "up", "down"};
  std::string others;
  line(out, "");
  line(out, machine.nics.empty() ? "Network: no interfaces found" : "Network");
  for (const Nic& nic : machine.nics) {
    const char* const state = kStates[static_cast<size_t>(nic.state)];
    // A host of containers has hundreds of virtual interfaces; only a container's own end of a pair is worth a line.
    if (nic.is_virtual && nic.kind != "veth") {
      others += (others.empty() ? "" : ", ") + nic.name + " (" + nic.kind + ")";
      continue;
    }
    line(out, text("  %-12s %-7s  %-13s  %-10s  ", nic.name.c_str(), state, speed(nic.speed_Mbps).c_str(), nic.kind.c_str()) +
                  location(nic.pci_id, nic.numa));
  }
  if (!others.empty()) line(out, "  virtual: " + others);
}

void show_gpus(const Machine& machine, std::string& out) {
  line(out, "");
  line(out, machine.gpus.empty() ? "GPUs: none found" : "GPUs");
  for (size_t i = 0; i < machine.gpus.size(); ++i) {
    const Gpu& gpu = machine.gpus[i];
    const std::string rate = gpu.pcie_GBps > 0 ? text(", %.3g GB/s", gpu.pcie_GBps) : "";
    line(out, text("  %zu  %-6s  ", i, gpu.vendor.c_str()) + location(gpu.pci_id, gpu.numa) + rate + "  " + gpu.model);
  }
}

}  // namespace

std::string describe_machine(const Machine& machine) {
  std::string out;
  show_head(machine, out);
  show_processors(machine, out);
  show_network(machine, out);
  show_gpus(machine, out);
  if (machine.this_system) {
    const std::string sizes = bytes(machine.shm_bytes) + ", " + bytes(machine.shm_free_bytes) + " free";
    line(out, "");
    line(out, "/dev/shm: " + (machine.shm_bytes == 0 ? "none" : sizes));
  }
  return out;
}

}  // namespace tutti
