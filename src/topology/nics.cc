// Network interfaces from /sys/class/net and RDMA devices from /sys/class/infiniband.
#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "topology/host_files.h"
#include "topology/sysfs.h"

namespace tutti {

namespace {

// Numbers of include/uapi/linux/if_arp.h; that header does not go together with all C libraries.
constexpr int kArpEthernet = 1;
constexpr int kArpInfiniband = 32;
constexpr int kArpLoopback = 772;
constexpr unsigned long kFlagUp = 0x1;

// DEVTYPE=... of an uevent file: bridge, bond, vlan, vxlan, wlan, macvlan ...; empty for most.
std::string device_type(const std::string& folder) {
  std::ifstream file(folder + "/uevent");
  const std::string key = "DEVTYPE=";
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) == 0) return line.substr(key.size());
  }
  return {};
}

std::string virtual_kind(const std::string& folder, const std::string& type) {
  if (!type.empty()) return type;
  if (sysfs::exists(folder + "/bridge")) return "bridge";
  if (sysfs::exists(folder + "/bonding")) return "bond";
  if (sysfs::exists(folder + "/tun_flags")) return "tun";
  // A veth's peer has an index of its own; every other kind that links to another interface states its DEVTYPE.
  const std::string link = sysfs::read_line(folder + "/iflink");
  if (!link.empty() && link != sysfs::read_line(folder + "/ifindex")) return "veth";
  return "virtual";
}

NicState interface_state(const std::string& folder) {
  const std::string operstate = sysfs::read_line(folder + "/operstate");
  if (operstate == "up") return NicState::kUp;
  if (operstate.empty()) return NicState::kUnknown;
  if (operstate != "unknown") return NicState::kDown;  // down, lowerlayerdown, dormant, notpresent, testing
  // Drivers that do not track their carrier say "unknown" while they work.
  const unsigned long flags = std::strtoul(sysfs::read_line(folder + "/flags").c_str(), nullptr, 16);
  return (flags & kFlagUp) != 0 ? NicState::kUp : NicState::kDown;
}

void locate_on_pci(const std::string& root, const std::string& device_link, Nic& nic) {
  nic.pci_id = sysfs::pci_address(sysfs::resolve(device_link));
  if (nic.pci_id.empty()) return;
  nic.numa = static_cast<int>(sysfs::read_number(root + "/sys/bus/pci/devices/" + nic.pci_id + "/numa_node").value_or(-1));
  nic.pcie_GBps = sysfs::pcie_GBps(root, nic.pci_id);
}

Nic read_interface(const std::string& root, const std::string& name, int arp_type) {
  const std::string folder = root + "/sys/class/net/" + name;
  const std::string type = device_type(folder);
  Nic nic;
  nic.name = name;
  nic.state = interface_state(folder);
  const double speed = sysfs::read_number(folder + "/speed").value_or(0);
  if (speed > 0 && speed < 4294967295.0) nic.speed_Mbps = static_cast<uint64_t>(speed);  // -1, or 2^32-1 of old kernels: unknown
  nic.is_virtual = !sysfs::exists(folder + "/device");
  if (nic.is_virtual) {
    nic.kind = virtual_kind(folder, type);
    return nic;
  }
  locate_on_pci(root, folder + "/device", nic);
  if (arp_type == kArpInfiniband) {
    nic.kind = "infiniband";
  } else if (type == "wlan" || sysfs::exists(folder + "/wireless")) {
    nic.kind = "wireless";
  } else {
    nic.kind = "ethernet";
  }
  // A virtual function seen beside its physical function shares that one's wire. In a guest the physical one is out of sight.
  if (sysfs::exists(folder + "/device/physfn")) {
    nic.kind = "vf";
    nic.is_virtual = true;
  }
  return nic;
}

// The first port: "100 Gb/sec (4X EDR)", "4: ACTIVE".
Nic read_rdma_device(const std::string& root, const std::string& name) {
  const std::string folder = root + "/sys/class/infiniband/" + name;
  const std::vector<std::string> ports = sysfs::list(folder + "/ports");
  const std::string port = folder + "/ports/" + (ports.empty() ? "1" : ports.front());
  Nic nic;
  nic.name = name;
  nic.kind = sysfs::read_line(port + "/link_layer") == "Ethernet" ? "ethernet" : "infiniband";
  nic.speed_Mbps = static_cast<uint64_t>(std::max(0.0, sysfs::read_number(port + "/rate").value_or(0)) * 1000);
  const std::string state = sysfs::read_line(port + "/state");
  if (!state.empty()) nic.state = state.find("ACTIVE") != std::string::npos ? NicState::kUp : NicState::kDown;
  nic.is_virtual = !sysfs::exists(folder + "/device") || sysfs::exists(folder + "/device/physfn");
  locate_on_pci(root, folder + "/device", nic);
  return nic;
}

// An RDMA device is another face of the network interface on the same function: it may know the rate that the interface does not.
void merge_rdma_devices(const std::string& root, std::vector<Nic>& nics) {
  for (const std::string& name : sysfs::list(root + "/sys/class/infiniband")) {
    Nic rdma = read_rdma_device(root, name);
    const auto face =
        std::find_if(nics.begin(), nics.end(), [&](const Nic& nic) { return !rdma.pci_id.empty() && nic.pci_id == rdma.pci_id; });
    if (face == nics.end()) {
      nics.push_back(std::move(rdma));
    } else if (face->speed_Mbps == 0) {
      face->speed_Mbps = rdma.speed_Mbps;
    }
  }
}

}  // namespace

std::vector<Nic> detect_nics(const std::string& root) {
  std::vector<Nic> nics;
  for (const std::string& name : sysfs::list(root + "/sys/class/net")) {
    const std::string folder = root + "/sys/class/net/" + name;
    if (!sysfs::exists(folder + "/operstate")) continue;  // "bonding_masters" is a file among the interfaces
    const int arp_type = static_cast<int>(sysfs::read_number(folder + "/type").value_or(kArpEthernet));
    if (arp_type == kArpLoopback) continue;
    nics.push_back(read_interface(root, name, arp_type));
  }
  merge_rdma_devices(root, nics);
  std::stable_sort(nics.begin(), nics.end(), [](const Nic& a, const Nic& b) { return a.is_virtual < b.is_virtual; });
  return nics;
}

}  // namespace tutti
