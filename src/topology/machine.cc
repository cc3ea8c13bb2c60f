// detect_machine(): hwloc for what it knows best (packages, NUMA nodes, caches, cores, PCI), the system's files for the rest.
#include "topology/machine.h"

#include <hwloc.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "topology/host_files.h"
#include "topology/sysfs.h"

namespace tutti {

namespace {

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, DestroyTopology>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

std::vector<int> members(hwloc_const_bitmap_t bitmap) {
  std::vector<int> result;
  if (bitmap == nullptr || hwloc_bitmap_weight(bitmap) < 0) return result;  // an infinite set: "all", of a topology that knows none
  for (int i = hwloc_bitmap_first(bitmap); i >= 0; i = hwloc_bitmap_next(bitmap, i)) result.push_back(i);
  return result;
}

std::string info(hwloc_obj_t object, const char* key) {
  const char* const text = object == nullptr ? nullptr : hwloc_obj_get_info_by_name(object, key);
  std::string value = text == nullptr ? "" : text;
  value.erase(value.find_last_not_of(' ') + 1);
  return value;
}

// Components that we do without: the system's files tell the same about PCI as libpciaccess, which leaks, and GPU runtimes would be
// initialised (OpenCL, CUDA: seconds, and memory on every GPU) for what the PCI ids tell.
constexpr const char* kUnwanted[] = {"pci", "opencl", "cuda", "nvml", "rsmi", "levelzero", "gl"};

// Null when hwloc refuses the source (or, of this machine, cannot look at it at all).
Topology load_topology(const MachineSource& source, bool with_io) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  Topology topology(raw);
  if (!source.xml.empty() && hwloc_topology_set_xml(raw, source.xml.c_str()) != 0) return nullptr;
  if (!source.synthetic.empty() && hwloc_topology_set_synthetic(raw, source.synthetic.c_str()) != 0) return nullptr;
  // Cores that a cpuset hides from this process are part of the machine all the same; allowed_pus tells them apart.
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  hwloc_topology_set_icache_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
  for (const char* name : kUnwanted) hwloc_topology_set_components(raw, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, name);
  if (with_io) {
    // All PCI devices: what hwloc thinks unimportant differs between versions, and accelerators (class 12) were late to the list.
    hwloc_topology_set_type_filter(raw, HWLOC_OBJ_PCI_DEVICE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(raw, HWLOC_OBJ_OS_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    hwloc_topology_set_type_filter(raw, HWLOC_OBJ_BRIDGE, HWLOC_TYPE_FILTER_KEEP_ALL);
  }
  if (hwloc_topology_load(raw) != 0) return nullptr;
  return topology;
}

template <class Visit>
void for_each_object(hwloc_topology_t topology, hwloc_obj_type_t type, Visit visit) {
  for (hwloc_obj_t object = nullptr; (object = hwloc_get_next_obj_by_type(topology, type, object)) != nullptr;) visit(object);
}

void read_packages(hwloc_topology_t topology, Machine& machine) {
  const std::string common_model = info(hwloc_get_root_obj(topology), "CPUModel");
  for_each_object(topology, HWLOC_OBJ_PACKAGE, [&](hwloc_obj_t object) {
    const std::string model = info(object, "CPUModel");
    machine.packages.push_back(
        {.id = static_cast<int>(object->os_index), .model = model.empty() ? common_model : model, .pus = members(object->cpuset)});
  });
  if (machine.packages.empty()) {  // some virtual machines and ARM boards report none
    machine.packages.push_back({.id = 0, .model = common_model, .pus = members(hwloc_get_root_obj(topology)->cpuset)});
  }
}

void read_numa_nodes(hwloc_topology_t topology, Machine& machine) {
  for_each_object(topology, HWLOC_OBJ_NUMANODE, [&](hwloc_obj_t object) {
    NumaNode node{
        .id = static_cast<int>(object->os_index), .memory_bytes = object->attr->numanode.local_memory, .pus = members(object->cpuset)};
    // A GPU's own memory may pose as a NUMA node that shares the host's cores (Grace Hopper).
    if (object->subtype != nullptr && std::string_view(object->subtype) == "GPUMemory") node.pus.clear();
    machine.numa_nodes.push_back(std::move(node));
  });
}

void read_caches(hwloc_topology_t topology, Machine& machine) {
  constexpr std::pair<hwloc_obj_type_t, const char*> kTypes[] = {{HWLOC_OBJ_L5CACHE, "L5"},  {HWLOC_OBJ_L4CACHE, "L4"},
                                                                 {HWLOC_OBJ_L3CACHE, "L3"},  {HWLOC_OBJ_L2CACHE, "L2"},
                                                                 {HWLOC_OBJ_L1CACHE, "L1d"}, {HWLOC_OBJ_L1ICACHE, "L1i"}};
  for (const auto& [type, name] : kTypes) {
    for_each_object(topology, type, [&, label = name](hwloc_obj_t object) {
      machine.caches.push_back({.name = label,
                                .level = static_cast<int>(object->attr->cache.depth),
                                .size_bytes = object->attr->cache.size,
                                .pus = members(object->cpuset)});
    });
  }
}

// The first NUMA node of what a device hangs below; -1 when that is the whole of a machine with several.
int numa_of(hwloc_topology_t topology, hwloc_obj_t device, size_t numa_count) {
  const hwloc_obj_t parent = hwloc_get_non_io_ancestor_obj(topology, device);
  if (parent == nullptr || parent->nodeset == nullptr) return -1;
  if (numa_count > 1 && parent == hwloc_get_root_obj(topology)) return -1;
  return hwloc_bitmap_first(parent->nodeset);
}

std::string pci_id(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
  char text[32];
  std::snprintf(text, sizeof text, "%04x:%02x:%02x.%x", static_cast<unsigned>(pci.domain), pci.bus, pci.dev, pci.func);
  return text;
}

// The PCIe switch that a function hangs below: the bridge under the root port, where a bridge of the switch's other side is between the
// two. Where several are chained, the topmost: its way up is what all share. Added to the machine at its first device. Empty: none.
std::string pci_switch_above(hwloc_topology_t topology, const std::string& root, hwloc_obj_t function, Machine& machine) {
  std::vector<hwloc_obj_t> bridges;  // upwards
  for (hwloc_obj_t above = function->parent; above != nullptr && above->type == HWLOC_OBJ_BRIDGE; above = above->parent) {
    if (above->attr->bridge.upstream_type == HWLOC_OBJ_BRIDGE_PCI) bridges.push_back(above);
  }
  if (bridges.size() < 3) return {};
  const hwloc_obj_t upstream = bridges[bridges.size() - 2];
  const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci = upstream->attr->bridge.upstream.pci;
  const std::string id = pci_id(pci);
  const auto known = [&](const PciSwitch& each) { return each.pci_id == id; };
  if (std::any_of(machine.pci_switches.begin(), machine.pci_switches.end(), known)) return id;
  PciSwitch found{.pci_id = id, .numa = numa_of(topology, upstream, machine.numa_nodes.size())};
  if (machine.this_system) found.pcie_GBps = sysfs::pcie_GBps(root, id);
  if (found.pcie_GBps == 0) found.pcie_GBps = static_cast<double>(pci.linkspeed);
  machine.pci_switches.push_back(std::move(found));
  return id;
}

struct GpuVendor {
  unsigned short pci_vendor;
  const char* name;
  const char* device;
};
constexpr GpuVendor kGpuVendors[] = {{0x10de, "nvidia", "cuda"}, {0x1002, "amd", "hip"}, {0x8086, "intel", ""}};

// Display controllers (class 03) count when a maker of GPUs built them, which leaves out the consoles of BMCs and hypervisors;
// processing accelerators (class 12, where AMD Instinct is found) always do.
void read_gpu(hwloc_topology_t topology, const std::string& root, hwloc_obj_t object, Machine& machine) {
  const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci = object->attr->pcidev;
  const unsigned base_class = static_cast<unsigned>(pci.class_id) >> 8;
  const auto* const vendor =
      std::find_if(std::begin(kGpuVendors), std::end(kGpuVendors), [&](const GpuVendor& v) { return v.pci_vendor == pci.vendor_id; });
  const bool known = vendor != std::end(kGpuVendors);
  if (base_class != 0x12 && !(base_class == 0x03 && known)) return;
  char ids[16];
  std::snprintf(ids, sizeof ids, "%04x:%04x", pci.vendor_id, pci.device_id);
  Gpu gpu;
  gpu.pci_id = pci_id(pci);
  gpu.vendor = known ? vendor->name : std::string(ids, 4);
  gpu.device = known ? vendor->device : "";
  gpu.model = machine.this_system ? detect_gpu_model(root, gpu.pci_id) : info(object, "PCIDevice");
  if (gpu.model.empty()) gpu.model = ids;
  gpu.numa = numa_of(topology, object, machine.numa_nodes.size());
  if (machine.this_system) gpu.pcie_GBps = sysfs::pcie_GBps(root, gpu.pci_id);
  if (gpu.pcie_GBps == 0) gpu.pcie_GBps = static_cast<double>(pci.linkspeed);
  gpu.pci_switch = pci_switch_above(topology, root, object, machine);
  machine.gpus.push_back(std::move(gpu));
}

// Of an imported topology, whose /sys is elsewhere. State and speed are not in it.
void read_imported_nic(hwloc_topology_t topology, hwloc_obj_t object, Machine& machine) {
  const hwloc_obj_osdev_type_t type = object->attr->osdev.type;
  if (type != HWLOC_OBJ_OSDEV_NETWORK && type != HWLOC_OBJ_OSDEV_OPENFABRICS) return;
  Nic nic{.name = object->name == nullptr ? "nic" : object->name, .kind = type == HWLOC_OBJ_OSDEV_NETWORK ? "ethernet" : "infiniband"};
  const hwloc_obj_t parent = object->parent;
  if (parent != nullptr && parent->type == HWLOC_OBJ_PCI_DEVICE) {
    nic.pci_id = pci_id(parent->attr->pcidev);
    nic.pcie_GBps = static_cast<double>(parent->attr->pcidev.linkspeed);
  }
  nic.numa = numa_of(topology, object, machine.numa_nodes.size());
  // One function often shows both faces, a network interface and an RDMA device.
  const auto same = [&](const Nic& other) { return !nic.pci_id.empty() && other.pci_id == nic.pci_id; };
  if (std::none_of(machine.nics.begin(), machine.nics.end(), same)) machine.nics.push_back(std::move(nic));
}

void read_allowed(hwloc_topology_t topology, Machine& machine) {
  const Bitmap allowed(hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology)));
  const Bitmap bound(hwloc_bitmap_alloc());
  if (machine.this_system && hwloc_get_cpubind(topology, bound.get(), HWLOC_CPUBIND_THREAD) == 0 &&
      hwloc_bitmap_intersects(allowed.get(), bound.get())) {
    hwloc_bitmap_and(allowed.get(), allowed.get(), bound.get());
  }
  machine.allowed_pus = members(allowed.get());
}

void read_topology(hwloc_topology_t topology, const std::string& root, Machine& machine) {
  machine.this_system = hwloc_topology_is_thissystem(topology) != 0;
  read_packages(topology, machine);
  read_numa_nodes(topology, machine);
  read_caches(topology, machine);
  for_each_object(topology, HWLOC_OBJ_CORE, [&](hwloc_obj_t object) { machine.cores.push_back({members(object->cpuset)}); });
  if (machine.cores.empty()) {  // PUs alone, as in some sandboxes: each is its own core
    for_each_object(topology, HWLOC_OBJ_PU, [&](hwloc_obj_t object) { machine.cores.push_back({members(object->cpuset)}); });
  }
  for_each_object(topology, HWLOC_OBJ_PCI_DEVICE, [&](hwloc_obj_t object) { read_gpu(topology, root, object, machine); });
  read_allowed(topology, machine);
  machine.memory_bytes = hwloc_get_root_obj(topology)->total_memory;
  if (!machine.this_system) {
    machine.host = info(hwloc_get_root_obj(topology), "HostName");
    for_each_object(topology, HWLOC_OBJ_OS_DEVICE, [&](hwloc_obj_t object) { read_imported_nic(topology, object, machine); });
  }
}

// What hwloc cannot add to: who we are, the interfaces, the control group and /dev/shm.
void read_this_system(const std::string& root, Machine& machine) {
  utsname names{};
  if (uname(&names) == 0) {
    machine.host = names.nodename;
    machine.kernel = std::string(names.sysname) + " " + names.release + " " + names.machine;
  }
  machine.nics = detect_nics(root);
  const GroupLimits limits = detect_group_limits(root);
  machine.cpu_quota = limits.cpu_quota;
  // The kernel's own total is better than hwloc's sum over nodes, which leaves out memory that was plugged in later.
  if (const uint64_t total = detect_memory_bytes(root); total != 0) {
    machine.memory_bytes = total;
    if (machine.numa_nodes.size() == 1) machine.numa_nodes.front().memory_bytes = total;
  }
  if (limits.memory_bytes < machine.memory_bytes) machine.memory_limit_bytes = limits.memory_bytes;
  struct statvfs shm {};
  if (statvfs("/dev/shm", &shm) == 0) {
    machine.shm_bytes = static_cast<uint64_t>(shm.f_blocks) * shm.f_frsize;
    machine.shm_free_bytes = static_cast<uint64_t>(shm.f_bavail) * shm.f_frsize;
  }
}

// /sys tells what an interface is and does; hwloc's tree tells what it shares its way with.
void place_nics(hwloc_topology_t topology, const std::string& root, Machine& machine) {
  for (Nic& nic : machine.nics) {
    if (nic.pci_id.empty()) continue;
    const hwloc_obj_t function = hwloc_get_pcidev_by_busidstring(topology, nic.pci_id.c_str());
    if (function == nullptr) continue;
    nic.pci_switch = pci_switch_above(topology, root, function, machine);
    if (nic.numa < 0) nic.numa = numa_of(topology, function, machine.numa_nodes.size());
  }
}

// Restores the invariant of Machine where nothing could be found out.
void fill_gaps(Machine& machine) {
  if (machine.host.empty()) machine.host = "host";
  if (machine.cores.empty()) {
    const int count = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (int pu = 0; pu < count; ++pu) machine.cores.push_back({{pu}});
  }
  std::vector<int> all;
  for (const Core& core : machine.cores) all.insert(all.end(), core.pus.begin(), core.pus.end());
  std::sort(all.begin(), all.end());
  if (machine.allowed_pus.empty()) machine.allowed_pus = all;
  if (machine.packages.empty()) machine.packages.push_back({.pus = all});
  const auto has_cores = [](const NumaNode& node) { return !node.pus.empty(); };
  if (std::none_of(machine.numa_nodes.begin(), machine.numa_nodes.end(), has_cores)) {
    machine.numa_nodes.push_back({.id = 0, .memory_bytes = machine.memory_bytes, .pus = all});
  }
}

}  // namespace

Result<Machine> detect_machine(const MachineSource& source) {
  const bool given = !source.xml.empty() || !source.synthetic.empty();
  Topology topology = load_topology(source, true);
  if (topology == nullptr && given) {
    const std::string what = source.xml.empty() ? "description '" + source.synthetic + "'" : "file " + source.xml;
    return Status(Code::kInvalidArgument, "hwloc cannot read the topology " + what);
  }
  Machine machine;
  if (topology == nullptr) {  // broken PCI trees have made it fail
    topology = load_topology(source, false);
    machine.remarks.push_back(topology == nullptr ? "hwloc cannot look at it: it is taken for one NUMA node without GPUs"
                                                  : "hwloc cannot read its PCI devices: GPUs and PCIe switches are not known");
  }
  if (topology != nullptr) read_topology(topology.get(), source.root, machine);
  if (machine.this_system) read_this_system(source.root, machine);
  if (topology != nullptr) place_nics(topology.get(), source.root, machine);
  fill_gaps(machine);
  return machine;
}

}  // namespace tutti
