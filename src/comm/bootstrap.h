// From a unique id to a membership: every rank tells every other who and where it is and what it was configured with, and what must be
// equal is compared before anything runs.
// Threading: bootstrap() from any thread; it blocks, within the init timeout.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "comm/control_tree.h"
#include "topology/cluster.h"

namespace tutti {

// What all ranks know of one.
struct Member {
  int rank = 0;
  uint64_t pid = 0;
  std::string host;
  std::string node;                  // ranks of equal node share memory
  std::string device;                // that its buffers lie in: "host"
  std::string vendor;                // of that
  std::string pci_id;                // of that; empty: not known
  double network_GBps = 0;           // of the network interfaces that it uses, together; 0: unknown
  std::vector<uint16_t> cpus;        // that it may run on
  std::vector<std::string> agreed;   // settings that must be equal, as NAME=VALUE
  std::vector<std::byte> transport;  // its address there
};

std::string describe(const Member& member);  // "rank 3 (host h, pid 42)"

struct Membership {
  std::vector<Member> members;        // by rank
  NodeDescriptions nodes;             // by Member::node: of those that were described
  std::shared_ptr<ControlTree> tree;  // shared with communicators that are split from this one
};

// The settings that shape plans and FIFOs.
std::vector<std::string> agreed_settings(const Config& config);

// What this process is; `transport` is its address. The device's vendor and PCI id are the caller's to set.
Member make_member(int rank, const Config& config, std::span<const std::byte> transport);

// The node as this process finds it (detect_node), with the network interfaces that it uses.
NodeDescription describe_own_node(const Config& config);

// `describe_node`: called on one rank of each node, the lowest, for what all are told of it; the others' is not called. Errors: those of
// ControlTree::join(); kRemote where a rank brought what cannot be read; kInvalidUsage where ranks were configured differently, or are on
// different nodes without a transport that leads from one to the other.
Result<Membership> bootstrap(const RendezvousId& id, Joining joining, const Member& self,
                             const std::function<NodeDescription()>& describe_node = {});

// Whether the members on a node have, together, a core each.
bool cores_suffice(const Membership& membership, const std::string& node);

}  // namespace tutti
