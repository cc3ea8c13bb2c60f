// From a unique id to a membership: every rank tells every other who and where it is and what it was configured with, and what must be
// equal is compared before anything runs.
// Threading: bootstrap() from any thread; it blocks, within the init timeout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "comm/control_tree.h"

namespace tutti {

// What all ranks know of one.
struct Member {
  int rank = 0;
  uint64_t pid = 0;
  std::string host;
  std::string node;                  // ranks of equal node share memory
  std::string device;                // that its buffers lie in: "host"
  std::string vendor;                // of that
  double network_GBps = 0;           // of the network interfaces that it uses, together; 0: unknown
  std::vector<uint16_t> cpus;        // that it may run on
  std::vector<std::string> agreed;   // settings that must be equal, as NAME=VALUE
  std::vector<std::byte> transport;  // its address there
};

std::string describe(const Member& member);  // "rank 3 (host h, pid 42)"

struct Membership {
  std::vector<Member> members;        // by rank
  std::shared_ptr<ControlTree> tree;  // shared with communicators that are split from this one
};

// The settings that shape plans and FIFOs.
std::vector<std::string> agreed_settings(const Config& config);

// What this process is; `transport` is its address. The device's vendor is the caller's to set.
Member make_member(int rank, const Config& config, std::span<const std::byte> transport);

// Errors: those of ControlTree::join(); kInvalidUsage where ranks were configured differently, or are on different
// nodes without a transport that leads from one to the other.
Result<Membership> bootstrap(const RendezvousId& id, Joining joining, const Member& self);

// Whether the members on a node have, together, a core each.
bool cores_suffice(const Membership& membership, const std::string& node);

}  // namespace tutti
