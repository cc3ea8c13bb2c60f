// detect_machine(): this machine, synthetic ones, and imported ones with the PCI devices that this machine lacks.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <string>

#include "fake_root.h"
#include "topology/machine.h"

namespace tutti {
namespace {

TEST(Detect, ThisMachineIsSane) {
  const Result<Machine> result = detect_machine();
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Machine& machine = result.value();
  EXPECT_FALSE(machine.host.empty());
  EXPECT_FALSE(machine.kernel.empty());
  EXPECT_TRUE(machine.this_system);
  EXPECT_GE(machine.packages.size(), 1U);
  EXPECT_GE(machine.numa_nodes.size(), 1U);
  EXPECT_GE(machine.cores.size(), 1U);
  EXPECT_GT(machine.memory_bytes, 0U);
  EXPECT_TRUE(std::none_of(machine.nics.begin(), machine.nics.end(), [](const Nic& nic) { return nic.name == "lo"; }));
}

TEST(Detect, AllowedPusFollowTheAffinityOfTheCaller) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const Result<Machine> machine = detect_machine();
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  ASSERT_TRUE(machine.ok());
  EXPECT_EQ(machine.value().allowed_pus, std::vector<int>{first});
}

TEST(Detect, NothingReadableInSysOrProc) {
  const Result<Machine> machine = detect_machine({.root = "/nonexistent"});
  ASSERT_TRUE(machine.ok()) << machine.status().message();
  EXPECT_TRUE(machine.value().nics.empty());
  EXPECT_EQ(machine.value().cpu_quota, 0);
  EXPECT_GE(machine.value().cores.size(), 1U);
}

TEST(Detect, SyntheticWithTwoPackages) {
  const Result<Machine> result = detect_machine({.synthetic = "pack:2 [numa(memory=1GB)] l3:1(size=16MB) core:4 pu:2"});
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Machine& machine = result.value();
  EXPECT_FALSE(machine.this_system);
  ASSERT_EQ(machine.packages.size(), 2U);
  ASSERT_EQ(machine.numa_nodes.size(), 2U);
  EXPECT_EQ(machine.numa_nodes[1].pus, (std::vector<int>{8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_GE(machine.numa_nodes[1].memory_bytes, 1000000000U);
  ASSERT_EQ(machine.cores.size(), 8U);
  EXPECT_EQ(machine.cores[1].pus, (std::vector<int>{2, 3}));
  EXPECT_EQ(machine.allowed_pus.size(), 16U);
  const auto is_l3 = [](const Cache& cache) { return cache.name == "L3" && cache.pus.size() == 8; };
  EXPECT_EQ(std::count_if(machine.caches.begin(), machine.caches.end(), is_l3), 2);
  EXPECT_TRUE(machine.nics.empty());
  EXPECT_TRUE(machine.gpus.empty());
}

TEST(Detect, WrongSourcesAreRefusedByName) {
  const Result<Machine> synthetic = detect_machine({.synthetic = "no such thing"});
  ASSERT_FALSE(synthetic.ok());
  EXPECT_EQ(synthetic.status().code(), Code::kInvalidArgument);
  EXPECT_NE(synthetic.status().message().find("no such thing"), std::string::npos);
  const Result<Machine> xml = detect_machine({.xml = "/nonexistent.xml"});
  ASSERT_FALSE(xml.ok());
  EXPECT_NE(xml.status().message().find("/nonexistent.xml"), std::string::npos);
}

// One package and one NUMA node, below it the functions in `devices`.
std::string xml_with(const std::string& devices) {
  const std::string sets = R"(cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1")";
  return R"(<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="2.0">
<object type="Machine" os_index="0" )" +
         sets + R"( allowed_cpuset="0x3" allowed_nodeset="0x1" gp_index="1"><info name="HostName" value="gpu-host"/>
<object type="Package" os_index="0" )" +
         sets + R"( gp_index="2"><info name="CPUModel" value="Test CPU  "/>
<object type="NUMANode" os_index="0" )" +
         sets + R"( gp_index="3" local_memory="1073741824"/>
<object type="Core" os_index="0" )" +
         sets + R"( gp_index="4">
<object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="5"/>
<object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2" nodeset="0x1" complete_nodeset="0x1" gp_index="6"/>
</object></object>
<object type="Bridge" gp_index="7" bridge_type="0-1" depth="0" bridge_pci="0000:[00-ff]">)" +
         devices + "</object></object></topology>";
}

std::string pci_function(int number, const std::string& type, const std::string& below = "") {
  return R"(<object type="PCIDev" gp_index=")" + std::to_string(20 + 10 * number) + R"(" pci_busid="0000:0)" + std::to_string(number) +
         R"(:00.0" pci_type=")" + type + R"(" pci_link_speed="15.75">)" + below + "</object>";
}

Machine imported(const std::string& devices) {
  const FakeRoot root;
  root.write("/machine.xml", xml_with(devices));
  const Result<Machine> machine = detect_machine({.xml = root.path() + "/machine.xml"});
  EXPECT_TRUE(machine.ok()) << machine.status().message();
  return machine.ok() ? machine.value() : Machine{};
}

TEST(Detect, GpusByVendorAndClass) {
  const Machine machine = imported(pci_function(1, "0302 [10de:2330] [0000:0000] a1") +  // NVIDIA, 3D controller
                                   pci_function(2, "1200 [1002:74a1] [0000:0000] 00") +  // AMD, processing accelerator
                                   pci_function(3, "0300 [1a03:2000] [0000:0000] 41") +  // a BMC's console
                                   pci_function(4, "0380 [8086:0bd5] [0000:0000] 00") +  // Intel: seen, but no device of ours
                                   pci_function(5, "1200 [1da3:1020] [0000:0000] 00"));  // another maker's accelerator
  EXPECT_EQ(machine.host, "gpu-host");
  EXPECT_EQ(machine.packages.front().model, "Test CPU");
  ASSERT_EQ(machine.gpus.size(), 4U);
  EXPECT_EQ(machine.gpus[0].vendor, "nvidia");
  EXPECT_EQ(machine.gpus[0].device, "cuda");
  EXPECT_EQ(machine.gpus[0].pci_id, "0000:01:00.0");
  EXPECT_EQ(machine.gpus[0].numa, 0);
  EXPECT_DOUBLE_EQ(machine.gpus[0].pcie_GBps, 15.75);
  EXPECT_EQ(machine.gpus[1].device, "hip");
  EXPECT_EQ(machine.gpus[2].vendor, "intel");
  EXPECT_EQ(machine.gpus[2].device, "");
  EXPECT_EQ(machine.gpus[3].vendor, "1da3");
}

TEST(Detect, ImportedNicShowsOnceForBothItsFaces) {
  const std::string faces = R"(<object type="OSDev" gp_index="90" name="ib0" osdev_type="2"/>)"
                            R"(<object type="OSDev" gp_index="91" name="mlx5_0" osdev_type="3"/>)";
  const Machine machine = imported(pci_function(1, "0207 [15b3:101b] [0000:0000] 00", faces));
  ASSERT_EQ(machine.nics.size(), 1U);
  EXPECT_EQ(machine.nics[0].name, "ib0");
  EXPECT_EQ(machine.nics[0].pci_id, "0000:01:00.0");
  EXPECT_EQ(machine.nics[0].state, NicState::kUnknown);
}

}  // namespace
}  // namespace tutti
