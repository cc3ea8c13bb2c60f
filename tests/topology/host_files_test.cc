// What is read from /sys and /proc: interfaces, PCIe rates, limits of the control group; from files that the tests write.
#include "topology/host_files.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fake_root.h"
#include "topology/sysfs.h"

namespace tutti {
namespace {

// An interface with hardware on PCI function `address`; an empty address makes it virtual.
void add_interface(const FakeRoot& root, const std::string& name, const std::string& address, const std::string& operstate,
                   const std::string& speed) {
  const std::string folder = "/sys/class/net/" + name;
  root.write(folder + "/operstate", operstate);
  root.write(folder + "/type", "1");
  root.write(folder + "/flags", "0x1003");
  root.write(folder + "/ifindex", "7");
  root.write(folder + "/iflink", "7");
  if (!speed.empty()) root.write(folder + "/speed", speed);
  if (address.empty()) return;
  const std::string function = "/sys/devices/pci0000:00/0000:00:01.0/" + address;
  root.link(folder + "/device", function);
  if (!sysfs::exists(root.path() + "/sys/bus/pci/devices/" + address)) root.link("/sys/bus/pci/devices/" + address, function);
}

const Nic* find(const std::vector<Nic>& nics, const std::string& name) {
  const auto found = std::find_if(nics.begin(), nics.end(), [&](const Nic& nic) { return nic.name == name; });
  return found == nics.end() ? nullptr : &*found;
}

TEST(Nics, PhysicalInterface) {
  const FakeRoot root;
  add_interface(root, "eth0", "0000:3b:00.0", "up", "100000");
  root.write("/sys/bus/pci/devices/0000:3b:00.0/numa_node", "1");
  root.write("/sys/bus/pci/devices/0000:3b:00.0/max_link_speed", "16.0 GT/s PCIe");
  root.write("/sys/bus/pci/devices/0000:3b:00.0/current_link_width", "16");
  root.write("/sys/devices/pci0000:00/0000:00:01.0/max_link_speed", "8.0 GT/s PCIe");  // the slot is slower
  const std::vector<Nic> nics = detect_nics(root.path());
  ASSERT_EQ(nics.size(), 1U);
  EXPECT_EQ(nics[0].kind, "ethernet");
  EXPECT_FALSE(nics[0].is_virtual);
  EXPECT_EQ(nics[0].state, NicState::kUp);
  EXPECT_EQ(nics[0].speed_Mbps, 100000U);
  EXPECT_EQ(nics[0].pci_id, "0000:3b:00.0");
  EXPECT_EQ(nics[0].numa, 1);
  EXPECT_NEAR(nics[0].pcie_GBps, 15.75, 0.01);
}

TEST(Nics, StatesAndUnknownSpeeds) {
  const FakeRoot root;
  add_interface(root, "down", "0000:01:00.0", "down", "");  // reading `speed` fails while down
  add_interface(root, "virtio", "0000:02:00.0", "up", "-1");
  add_interface(root, "silent", "0000:03:00.0", "unknown", "4294967295");
  const std::vector<Nic> nics = detect_nics(root.path());
  ASSERT_EQ(nics.size(), 3U);
  EXPECT_EQ(find(nics, "down")->state, NicState::kDown);
  EXPECT_EQ(find(nics, "silent")->state, NicState::kUp);
  for (const Nic& nic : nics) EXPECT_EQ(nic.speed_Mbps, 0U) << nic.name;
}

TEST(Nics, VirtualOnesAreMarkedAndLast) {
  const FakeRoot root;
  add_interface(root, "docker0", "", "up", "10000");
  root.write("/sys/class/net/docker0/bridge/bridge_id", "8000");
  add_interface(root, "vlan5", "", "up", "");
  root.write("/sys/class/net/vlan5/uevent", "DEVTYPE=vlan\nINTERFACE=vlan5");
  add_interface(root, "veth1", "", "up", "10000");
  root.write("/sys/class/net/veth1/iflink", "8");
  add_interface(root, "dummy0", "", "unknown", "");
  add_interface(root, "tun0", "", "unknown", "10");
  root.write("/sys/class/net/tun0/tun_flags", "0x1001");
  add_interface(root, "zeth", "0000:01:00.0", "up", "1000");
  add_interface(root, "vf", "0000:01:00.1", "up", "1000");
  root.write("/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.1/physfn", "");
  add_interface(root, "lo", "", "unknown", "");
  root.write("/sys/class/net/lo/type", "772");
  root.write("/sys/class/net/bonding_masters", "");
  const std::vector<Nic> nics = detect_nics(root.path());
  ASSERT_EQ(nics.size(), 7U);
  EXPECT_EQ(nics.front().name, "zeth");
  EXPECT_EQ(std::count_if(nics.begin(), nics.end(), [](const Nic& nic) { return nic.is_virtual; }), 6);
  EXPECT_EQ(find(nics, "docker0")->kind, "bridge");
  EXPECT_EQ(find(nics, "vlan5")->kind, "vlan");
  EXPECT_EQ(find(nics, "veth1")->kind, "veth");
  EXPECT_EQ(find(nics, "dummy0")->kind, "virtual");
  EXPECT_EQ(find(nics, "tun0")->kind, "tun");
  EXPECT_EQ(find(nics, "vf")->kind, "vf");
  EXPECT_EQ(find(nics, "lo"), nullptr);
}

TEST(Nics, RdmaDeviceLendsItsRateOrStandsAlone) {
  const FakeRoot root;
  add_interface(root, "ib0", "0000:01:00.0", "up", "");
  root.write("/sys/class/net/ib0/type", "32");
  root.link("/sys/class/infiniband/mlx5_0/device", "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0");
  root.write("/sys/class/infiniband/mlx5_0/ports/1/rate", "400 Gb/sec (4X NDR)");
  root.link("/sys/class/infiniband/mlx5_1/device", "/sys/devices/pci0000:00/0000:00:01.0/0000:02:00.0");
  root.write("/sys/class/infiniband/mlx5_1/ports/1/rate", "200 Gb/sec (4X HDR)");
  root.write("/sys/class/infiniband/mlx5_1/ports/1/state", "4: ACTIVE");
  const std::vector<Nic> nics = detect_nics(root.path());
  ASSERT_EQ(nics.size(), 2U);
  EXPECT_EQ(find(nics, "ib0")->kind, "infiniband");
  EXPECT_EQ(find(nics, "ib0")->speed_Mbps, 400000U);
  EXPECT_EQ(find(nics, "mlx5_1")->speed_Mbps, 200000U);
  EXPECT_EQ(find(nics, "mlx5_1")->state, NicState::kUp);
}

TEST(Limits, Version2TakesTheTightestAncestor) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "0::/a/b");
  root.write("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
  root.write("/sys/fs/cgroup/a/cpu.max", "150000 100000");
  root.write("/sys/fs/cgroup/cpu.max", "400000 100000");
  root.write("/sys/fs/cgroup/a/b/memory.max", "max");
  root.write("/sys/fs/cgroup/memory.max", "1073741824");
  const GroupLimits limits = detect_group_limits(root.path());
  EXPECT_DOUBLE_EQ(limits.cpu_quota, 1.5);
  EXPECT_EQ(limits.memory_bytes, 1073741824U);
}

TEST(Limits, Version1WhoseOwnPathIsHidden) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "4:memory:/docker/abc\n3:cpuset:/docker/abc\n2:cpuacct,cpu:/docker/abc\n0::/");
  root.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000");
  root.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  root.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  const GroupLimits limits = detect_group_limits(root.path());
  EXPECT_DOUBLE_EQ(limits.cpu_quota, 2);
  EXPECT_EQ(limits.memory_bytes, 0U);
}

TEST(Limits, NoneWithoutFiles) {
  const GroupLimits limits = detect_group_limits("/nonexistent");
  EXPECT_EQ(limits.cpu_quota, 0);
  EXPECT_EQ(limits.memory_bytes, 0U);
  EXPECT_EQ(detect_memory_bytes("/nonexistent"), 0U);
}

TEST(Limits, MemoryTotal) {
  const FakeRoot root;
  root.write("/proc/meminfo", "MemFree:  5 kB\nMemTotal:       24684084 kB\nHugePages_Total:       0");
  EXPECT_EQ(detect_memory_bytes(root.path()), 24684084ULL * 1024);
}

TEST(Gpus, ModelFromTheDriver) {
  const FakeRoot root;
  root.write("/proc/driver/nvidia/gpus/0000:01:00.0/information", "IRQ: 5\nModel: \t\t NVIDIA H200\nGPU UUID: x");
  root.write("/sys/bus/pci/devices/0000:02:00.0/product_name", "AMD Instinct MI300X");
  EXPECT_EQ(detect_gpu_model(root.path(), "0000:01:00.0"), "NVIDIA H200");
  EXPECT_EQ(detect_gpu_model(root.path(), "0000:02:00.0"), "AMD Instinct MI300X");
  EXPECT_EQ(detect_gpu_model(root.path(), "0000:03:00.0"), "");
}

TEST(Sysfs, PciAddress) {
  EXPECT_EQ(sysfs::pci_address("/sys/devices/pci0000:00/0000:00:03.0/virtio1"), "0000:00:03.0");
  EXPECT_EQ(sysfs::pci_address("/sys/devices/pci0000:00/0000:00:01.0/0000:3b:00.0"), "0000:3b:00.0");
  EXPECT_EQ(sysfs::pci_address("/sys/devices/pci10000:00/10000:00:03.0"), "10000:00:03.0");
  EXPECT_EQ(sysfs::pci_address("/sys/devices/virtual/net/lo"), "");
  EXPECT_EQ(sysfs::pci_address(""), "");
}

}  // namespace
}  // namespace tutti
