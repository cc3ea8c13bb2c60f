// An hwloc XML file of a server with `packages` packages, each of one NUMA node, two cores and a PCI root complex with what it is given.
// Threading: pure functions.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace tutti {

// Of one domain per package. `number` tells functions and bridges of a domain apart.
inline std::string pci_object(const std::string& type, int domain, int number, const std::string& pci_type, double GBps,
                              const std::string& more, const std::string& below) {
  char head[256];
  std::snprintf(head, sizeof head,
                R"(<object type="%s" gp_index="%d" pci_busid="%04x:%02x:00.0" pci_type="%s [0000:0000] 00" pci_link_speed="%g" %s>)",
                type.c_str(), 1000 + 100 * domain + number, domain, number, pci_type.c_str(), GBps, more.c_str());
  return head + below + "</object>";
}

inline std::string pci_bridge(int domain, int number, double GBps, const std::string& below) {
  char buses[96];
  std::snprintf(buses, sizeof buses, R"(bridge_type="1-1" depth="1" bridge_pci="%04x:[%02x-ff]")", domain, number + 1);
  return pci_object("Bridge", domain, number, "0604 [10b5:9797]", GBps, buses, below);
}

inline std::string pci_gpu(int domain, int number) {
  return pci_object("PCIDev", domain, number, "0302 [10de:2330]", 63, "", "");
}

inline std::string pci_nic(int domain, int number, const std::string& name) {
  return pci_object(
      "PCIDev", domain, number, "0200 [15b3:101d]", 31.5, "",
      R"(<object type="OSDev" gp_index=")" + std::to_string(5000 + 100 * domain + number) + R"(" name=")" + name + R"(" osdev_type="2"/>)");
}

// A PCIe switch below a root port: the numbers `number` to `number + 1` for these, one more for each of `devices`' ports.
inline std::string pci_switch(int domain, int number, double up_GBps, const std::vector<std::string>& devices) {
  std::string ports;
  int port = number + 2;
  for (const std::string& device : devices) ports += pci_bridge(domain, port++, up_GBps, device);
  return pci_bridge(domain, number, up_GBps, pci_bridge(domain, number + 1, up_GBps, ports));
}

// `devices`: by package, what is below its host bridge.
inline std::string machine_xml(const std::vector<std::string>& devices) {
  const auto sets = [](unsigned cpus, unsigned nodes) {
    char text[160];
    std::snprintf(text, sizeof text, R"(cpuset="0x%x" complete_cpuset="0x%x" nodeset="0x%x" complete_nodeset="0x%x")", cpus, cpus, nodes,
                  nodes);
    return std::string(text);
  };
  const auto count = static_cast<unsigned>(devices.size());
  const unsigned all_cpus = (1u << (2 * count)) - 1, all_nodes = (1u << count) - 1;
  char allowed[96];
  std::snprintf(allowed, sizeof allowed, R"( allowed_cpuset="0x%x" allowed_nodeset="0x%x" gp_index="1">)", all_cpus, all_nodes);
  std::string out = R"(<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="2.0">)";
  out += R"(<object type="Machine" os_index="0" )" + sets(all_cpus, all_nodes) + allowed;
  for (unsigned p = 0; p < count; ++p) {
    const auto index = [&](unsigned n) { return std::to_string(100 * (p + 1) + n); };
    out += R"(<object type="Package" os_index=")" + std::to_string(p) + "\" " + sets(3u << (2 * p), 1u << p) + R"( gp_index=")" + index(0) +
           "\">";
    out += R"(<object type="NUMANode" os_index=")" + std::to_string(p) + "\" " + sets(3u << (2 * p), 1u << p) + R"( gp_index=")" +
           index(1) + R"(" local_memory="1073741824"/>)";
    for (unsigned core = 0; core < 2; ++core) {
      const unsigned cpu = 2 * p + core;
      out += R"(<object type="Core" os_index=")" + std::to_string(core) + "\" " + sets(1u << cpu, 1u << p) + R"( gp_index=")" +
             index(2 + 2 * core) + R"("><object type="PU" os_index=")" + std::to_string(cpu) + "\" " + sets(1u << cpu, 1u << p) +
             R"( gp_index=")" + index(3 + 2 * core) + R"("/></object>)";
    }
    char bridge[96];
    std::snprintf(bridge, sizeof bridge, R"(" bridge_type="0-1" depth="0" bridge_pci="%04x:[00-ff]">)", p);
    out += R"(<object type="Bridge" gp_index=")" + index(90) + bridge + devices[p] + "</object></object>";
  }
  return out + "</object></topology>\n";
}

}  // namespace tutti
