// describe_machine(): what must be in the text, and that it fits 80 columns whatever the machine.
#include "topology/show.h"

#include <gtest/gtest.h>

#include <sstream>

namespace tutti {
namespace {

void expect_80_columns(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string describe_synthetic(const std::string& description) {
  const Result<Machine> machine = detect_machine({.synthetic = description});
  return machine.ok() ? describe_machine(machine.value()) : machine.status().message();
}

TEST(Show, ThisMachine) {
  const Result<Machine> machine = detect_machine();
  ASSERT_TRUE(machine.ok());
  const std::string text = describe_machine(machine.value());
  expect_80_columns(text);
  for (const char* part : {"Package", "NUMA 0", "Network", "GPUs", "/dev/shm"}) EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
}

TEST(Show, PackagesNumaNodesCachesAndCores) {
  const std::string text = describe_synthetic("pack:2 [numa(memory=1GiB)] l3:2(size=32MiB) l2:4(size=1MiB) core:1 pu:2");
  expect_80_columns(text);
  for (const char* part : {"2 packages, 2 NUMA nodes, 16 cores, 32 PUs", "Package 1", "NUMA 1:", "8 cores of 2 PUs, PUs 16-31",
                           "32 MiB x 2", "shared by 8 PUs", "1 MiB x 8", "GPUs: none found"}) {
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  }
}

TEST(Show, ManyPackagesInOneNumaNodeShareAHeading) {
  const std::string text = describe_synthetic("numa:1 pack:64 core:1 pu:1");
  EXPECT_TRUE(contains(text, "Packages 0-63")) << text;
  EXPECT_TRUE(contains(text, "64 cores")) << text;
}

TEST(Show, LongListsAndNamesAreShortened) {
  Machine machine;
  machine.host = std::string(200, 'h');
  for (int pu = 0; pu < 512; pu += 2) machine.cores.push_back({{pu}});
  for (const Core& core : machine.cores) machine.allowed_pus.push_back(core.pus.front());
  machine.allowed_pus.pop_back();
  machine.packages = {{.id = 0, .model = std::string(100, 'm'), .pus = machine.allowed_pus}};
  machine.numa_nodes = {{.id = 0, .pus = machine.allowed_pus}};
  for (int i = 0; i < 100; ++i) machine.nics.push_back({.name = "br" + std::to_string(i), .kind = "bridge", .is_virtual = true});
  machine.gpus = {
      {.pci_id = "0000:01:00.0", .vendor = "nvidia", .device = "cuda", .model = std::string(100, 'g'), .numa = 0, .pcie_GBps = 63}};
  machine.cpu_quota = 1.5;
  machine.memory_limit_bytes = 1 << 30;
  const std::string text = describe_machine(machine);
  expect_80_columns(text);
  EXPECT_TRUE(contains(text, "time of 1.5 PUs")) << text;
  EXPECT_TRUE(contains(text, "limits memory to 1 GiB")) << text;
}

}  // namespace
}  // namespace tutti
