// What detect_machine() takes from /sys and /proc rather than from hwloc: network interfaces, the names of
// GPUs, memory and the limits of the control group.
// Internal to topology/. `root` prefixes every path, so that tests can bring their own files.
// Threading: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/machine.h"

namespace tutti {

// Every interface but loopback, physical ones first, then by name; RDMA devices without a network interface follow as "infiniband".
std::vector<Nic> detect_nics(const std::string& root);

struct GroupLimits {
  double cpu_quota = 0;       // 0: none
  uint64_t memory_bytes = 0;  // 0: none
};

// The tightest limits of this process's control group and its ancestors, versions 1 and 2.
GroupLimits detect_group_limits(const std::string& root);

// What the GPU's driver calls the function at PCI address `pci_id`; empty without a driver.
std::string detect_gpu_model(const std::string& root, const std::string& pci_id);

// MemTotal of /proc/meminfo; 0 when unreadable.
uint64_t detect_memory_bytes(const std::string& root);

}  // namespace tutti
