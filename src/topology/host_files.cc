// Small facts from the system's files: what the control group leaves this process, memory, names of GPUs. A limit anywhere up the tree
// holds, so every ancestor is asked; in a container the path in /proc/self/cgroup may be the host's and absent here, and its ancestors end
// at the container's own root.
#include "topology/host_files.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "topology/sysfs.h"

namespace tutti {

namespace {

// Calls visit(folder) for `group` under `mount` and for each of its ancestors.
template <class Visit>
void for_each_ancestor(const std::string& mount, std::string group, Visit visit) {
  for (;;) {
    visit(mount + group);
    const size_t slash = group.rfind('/');
    if (group.empty() || slash == std::string::npos) return;
    group.resize(slash);
  }
}

void tighten_cpu(GroupLimits& limits, double quota_us, double period_us) {
  if (quota_us <= 0 || period_us <= 0) return;  // version 1 writes -1 for no limit
  const double cores = quota_us / period_us;
  limits.cpu_quota = limits.cpu_quota == 0 ? cores : std::min(limits.cpu_quota, cores);
}

void tighten_memory(GroupLimits& limits, double bytes) {
  // Version 1 writes the largest page-aligned number for no limit.
  if (bytes <= 0 || bytes > 4e18) return;
  const auto value = static_cast<uint64_t>(bytes);
  limits.memory_bytes = limits.memory_bytes == 0 ? value : std::min(limits.memory_bytes, value);
}

void read_version_2(const std::string& folder, GroupLimits& limits) {
  std::istringstream cpu(sysfs::read_line(folder + "/cpu.max"));  // "150000 100000" or "max 100000"
  double quota_us = 0;
  double period_us = 0;
  if (cpu >> quota_us >> period_us) tighten_cpu(limits, quota_us, period_us);
  tighten_memory(limits, sysfs::read_number(folder + "/memory.max").value_or(0));
}

bool has_controller(const std::string& list, const std::string& wanted) {
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == wanted) return true;
  }
  return false;
}

void read_version_1(const std::string& root, const std::string& controllers, const std::string& group, GroupLimits& limits) {
  const std::string mounts = root + "/sys/fs/cgroup/";
  if (has_controller(controllers, "cpu")) {
    for_each_ancestor(mounts + "cpu", group, [&](const std::string& folder) {
      tighten_cpu(limits, sysfs::read_number(folder + "/cpu.cfs_quota_us").value_or(0),
                  sysfs::read_number(folder + "/cpu.cfs_period_us").value_or(0));
    });
  }
  if (has_controller(controllers, "memory")) {
    for_each_ancestor(mounts + "memory", group, [&](const std::string& folder) {
      tighten_memory(limits, sysfs::read_number(folder + "/memory.limit_in_bytes").value_or(0));
    });
  }
}

}  // namespace

GroupLimits detect_group_limits(const std::string& root) {
  GroupLimits limits;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "4:memory:/path", and "0::/path" of version 2
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    if (controllers.empty()) {
      for_each_ancestor(root + "/sys/fs/cgroup", group, [&](const std::string& folder) { read_version_2(folder, limits); });
    } else {
      read_version_1(root, controllers, group, limits);
    }
  }
  return limits;
}

std::string detect_gpu_model(const std::string& root, const std::string& pci_id) {
  std::ifstream nvidia(root + "/proc/driver/nvidia/gpus/" + pci_id + "/information");
  const std::string key = "Model:";
  for (std::string line; std::getline(nvidia, line);) {
    const size_t begin = line.rfind(key, 0) == 0 ? line.find_first_not_of(" \t", key.size()) : std::string::npos;
    if (begin != std::string::npos) return line.substr(begin);
  }
  return sysfs::read_line(root + "/sys/bus/pci/devices/" + pci_id + "/product_name");  // amdgpu's
}

uint64_t detect_memory_bytes(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string key;
  uint64_t kibibytes = 0;
  while (file >> key >> kibibytes) {
    if (key == "MemTotal:") return kibibytes * 1024;
    file.ignore(256, '\n');
  }
  return 0;
}

}  // namespace tutti
