// The description of a node on its way: read back as it was written, and whatever else comes is refused.
#include "comm/node_wire.h"

#include <gtest/gtest.h>

#include <random>

namespace tutti {
namespace {

NodeDescription large_node() {
  NodeDescription node;
  for (int i = 0; i < 8; ++i) {
    NodeDescription::Numa numa{.id = i, .package = i / 4, .memory_MiB = 96 << 10};
    for (uint16_t core = 0; core < 12; ++core) numa.cpus.push_back(static_cast<uint16_t>(12 * i + core));
    for (uint16_t core = 0; core < 12; ++core) numa.cpus.push_back(static_cast<uint16_t>(96 + 12 * i + core));
    node.numa.push_back(numa);
    node.pci_switches.push_back({.numa = i, .GBps = 63});
    node.interfaces.push_back(
        {.name = "eth" + std::to_string(i), .kind = "ethernet", .numa = i, .pci_switch = i, .GBps = 50, .pcie_GBps = 63});
    node.gpus.push_back({.pci_id = "000" + std::to_string(i) + ":0b:00.0", .numa = i, .pci_switch = i, .pcie_GBps = 63});
  }
  return node;
}

TEST(NodeWire, WhatIsWrittenIsReadBack) {
  NodeDescription plain{.numa = {{}}};
  plain.interfaces.push_back({.name = "eth0"});
  for (const NodeDescription& node : {plain, large_node()}) {
    const Bytes bytes = encode_node(node);
    EXPECT_LE(bytes.size(), kMostNodeBytes / 2);
    const Result<NodeDescription> again = decode_node(bytes);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_TRUE(again.value() == node);
  }
}

TEST(NodeWire, CpusTakeOneRunWhereTheyAreRegular) {
  const auto round = [](const std::vector<uint16_t>& cpus) {
    ByteWriter writer;
    put_cpus(writer, cpus);
    const Bytes bytes = writer.take();
    ByteReader reader(bytes);
    EXPECT_EQ(get_cpus(reader), cpus);
    EXPECT_TRUE(reader.ok() && reader.at_end());
    return bytes.size();
  };
  std::vector<uint16_t> all, even, mixed{3, 4, 9, 11, 13, 14, 15, 4000};
  for (uint16_t cpu = 0; cpu < 1024; ++cpu) {
    all.push_back(cpu);
    if (cpu % 2 == 0) even.push_back(cpu);
  }
  EXPECT_EQ(round({}), 2u);
  EXPECT_EQ(round({7}), 8u);
  EXPECT_EQ(round(all), 8u);
  EXPECT_EQ(round(even), 8u);
  round(mixed);
}

TEST(NodeWire, EveryTruncationIsRefused) {
  const Bytes bytes = encode_node(large_node());
  for (size_t length = 0; length < bytes.size(); ++length) {
    const Result<NodeDescription> node = decode_node(std::span(bytes).first(length));
    ASSERT_FALSE(node.ok()) << length;
    EXPECT_EQ(node.status().code(), Code::kRemote);
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_node(longer).ok());
}

TEST(NodeWire, WhatCannotBeIsRefusedWithItsFlaw) {
  NodeDescription twice = large_node();
  twice.numa[1].cpus = twice.numa[0].cpus;
  EXPECT_NE(decode_node(encode_node(twice)).status().message().find("a node that cannot be: it has CPU 0 twice"), std::string::npos);
  EXPECT_NE(decode_node(Bytes(kMostNodeBytes + 1)).status().message().find("3073 bytes, over the bound of 3072"), std::string::npos);
}

// An announced list, or a run of CPUs, of any length takes no more memory than the bytes that came and kMostCpus allow.
TEST(NodeWire, LengthsAreNotBelieved) {
  ByteWriter writer;
  writer.u16(0xffff);
  EXPECT_FALSE(decode_node(writer.take()).ok());
  ByteWriter runs;
  runs.u16(2);
  for (int i = 0; i < 2; ++i) {
    runs.u16(0);
    runs.u16(0xffff);
    runs.u16(0);
  }
  const Bytes bytes = runs.take();
  ByteReader reader(bytes);
  EXPECT_EQ(get_cpus(reader).size(), kMostCpus);
}

TEST(NodeWire, MutantsAreRefusedOrSound) {
  const Bytes whole = encode_node(large_node());
  int believed = 0, refused = 0;
  std::mt19937 random(1);
  for (int round = 0; round < 50'000; ++round) {
    Bytes bytes = whole;
    for (unsigned left = 1 + random() % 3; left != 0; --left) bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << random() % 8);
    const Result<NodeDescription> node = decode_node(bytes);
    ++(node.ok() ? believed : refused);
    if (node.ok()) {
      ASSERT_EQ(flaw_of(node.value()), "");
    }
  }
  EXPECT_GT(believed, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tutti
