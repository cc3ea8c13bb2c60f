#include "comm/node_wire.h"

namespace tutti {
namespace {

constexpr uint16_t kNone = 0xffff;

void put_index(ByteWriter& writer, int index) {
  writer.u16(index < 0 ? kNone : static_cast<uint16_t>(index));
}

int get_index(ByteReader& reader) {
  const uint16_t index = reader.u16();
  return index == kNone ? -1 : index;
}

void put_place(ByteWriter& writer, int numa, int pci_switch, double pcie_GBps) {
  put_index(writer, numa);
  put_index(writer, pci_switch);
  writer.f64(pcie_GBps);
}

// Reads a list: its length, then each by read(item). Stops where the bytes do, so that an announced length costs nothing.
template <class Item, class Read>
void get_list(ByteReader& reader, std::vector<Item>& list, Read read) {
  for (uint16_t left = reader.u16(); left != 0 && reader.ok(); --left) read(list.emplace_back());
}

}  // namespace

void put_cpus(ByteWriter& writer, std::span<const uint16_t> cpus) {
  struct Run {
    uint16_t first, count, step;
  };
  std::vector<Run> runs;
  for (const uint16_t cpu : cpus) {
    if (!runs.empty()) {
      Run& run = runs.back();
      const int last = run.first + (run.count - 1) * run.step;
      if (run.count == 1) run.step = static_cast<uint16_t>(cpu - run.first);
      if (run.count == 1 || cpu - last == run.step) {
        ++run.count;
        continue;
      }
    }
    runs.push_back({cpu, 1, 1});
  }
  writer.u16(static_cast<uint16_t>(runs.size()));
  for (const Run& run : runs) {
    writer.u16(run.first);
    writer.u16(run.count);
    writer.u16(run.step);
  }
}

std::vector<uint16_t> get_cpus(ByteReader& reader) {
  std::vector<uint16_t> cpus;
  for (uint16_t left = reader.u16(); left != 0 && reader.ok(); --left) {
    uint32_t cpu = reader.u16();
    const uint16_t count = reader.u16(), step = reader.u16();
    for (uint16_t i = 0; i < count; ++i, cpu += step) {
      if (cpu >= kNone || cpus.size() == kMostCpus) return cpus;
      cpus.push_back(static_cast<uint16_t>(cpu));
    }
  }
  return cpus;
}

Bytes encode_node(const NodeDescription& node) {
  ByteWriter writer;
  writer.u16(static_cast<uint16_t>(node.numa.size()));
  for (const NodeDescription::Numa& numa : node.numa) {
    writer.u32(static_cast<uint32_t>(numa.id));
    writer.u32(static_cast<uint32_t>(numa.package));
    writer.u64(numa.memory_MiB);
    put_cpus(writer, numa.cpus);
  }
  writer.u16(static_cast<uint16_t>(node.pci_switches.size()));
  for (const NodeDescription::Switch& each : node.pci_switches) {
    put_index(writer, each.numa);
    writer.f64(each.GBps);
  }
  writer.u16(static_cast<uint16_t>(node.interfaces.size()));
  for (const NodeDescription::Interface& nic : node.interfaces) {
    writer.text(nic.name);
    writer.text(nic.kind);
    writer.f64(nic.GBps);
    put_place(writer, nic.numa, nic.pci_switch, nic.pcie_GBps);
  }
  writer.u16(static_cast<uint16_t>(node.gpus.size()));
  for (const NodeDescription::Accelerator& gpu : node.gpus) {
    writer.text(gpu.pci_id);
    put_place(writer, gpu.numa, gpu.pci_switch, gpu.pcie_GBps);
  }
  return writer.take();
}

Result<NodeDescription> decode_node(std::span<const std::byte> bytes) {
  if (bytes.size() > kMostNodeBytes) {
    return Status(Code::kRemote,
                  "describes its node in " + std::to_string(bytes.size()) + " bytes, over the bound of " + std::to_string(kMostNodeBytes));
  }
  ByteReader reader(bytes);
  NodeDescription node;
  get_list(reader, node.numa, [&](NodeDescription::Numa& numa) {
    numa.id = static_cast<int>(reader.u32());
    numa.package = static_cast<int>(reader.u32());
    numa.memory_MiB = reader.u64();
    numa.cpus = get_cpus(reader);
  });
  get_list(reader, node.pci_switches, [&](NodeDescription::Switch& each) {
    each.numa = get_index(reader);
    each.GBps = reader.f64();
  });
  get_list(reader, node.interfaces, [&](NodeDescription::Interface& nic) {
    nic.name = reader.text();
    nic.kind = reader.text();
    nic.GBps = reader.f64();
    nic.numa = get_index(reader);
    nic.pci_switch = get_index(reader);
    nic.pcie_GBps = reader.f64();
  });
  get_list(reader, node.gpus, [&](NodeDescription::Accelerator& gpu) {
    gpu.pci_id = reader.text();
    gpu.numa = get_index(reader);
    gpu.pci_switch = get_index(reader);
    gpu.pcie_GBps = reader.f64();
  });
  if (!reader.ok() || !reader.at_end()) return Status(Code::kRemote, "brought a malformed description of its node");
  if (const std::string flaw = flaw_of(node); !flaw.empty()) {
    return Status(Code::kRemote, "describes a node that cannot be: it " + flaw);
  }
  return node;
}

}  // namespace tutti
