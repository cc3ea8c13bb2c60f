#include "comm/bootstrap.h"

#include <sched.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "base/host.h"
#include "base/interfaces.h"
#include "base/log.h"
#include "comm/node_wire.h"
#include "comm/transports.h"

namespace tutti {
namespace {

constexpr size_t kMaxCpusTold = 512;

Bytes encode(const Member& member) {
  ByteWriter writer;
  writer.u32(static_cast<uint32_t>(member.rank));
  writer.u64(member.pid);
  writer.text(member.host);
  writer.text(member.node);
  writer.text(member.device);
  writer.text(member.vendor);
  writer.f64(member.network_GBps);
  writer.text(member.pci_id);
  put_cpus(writer, member.cpus);
  writer.u32(static_cast<uint32_t>(member.agreed.size()));
  for (const std::string& setting : member.agreed) writer.text(setting);
  writer.bytes(member.transport);
  return writer.take();
}

// What is left in the reader describes the member's node.
Result<Member> decode(ByteReader& reader, int rank) {
  Member member;
  member.rank = static_cast<int>(reader.u32());
  member.pid = reader.u64();
  member.host = reader.text();
  member.node = reader.text();
  member.device = reader.text();
  member.vendor = reader.text();
  member.network_GBps = reader.f64();
  member.pci_id = reader.text();
  member.cpus = get_cpus(reader);
  for (uint32_t left = reader.u32(); left != 0 && reader.ok(); --left) member.agreed.push_back(reader.text());
  const auto transport = reader.bytes();
  member.transport.assign(transport.begin(), transport.end());
  if (!reader.ok() || member.rank != rank) {
    return Status(Code::kRemote, "rank " + std::to_string(rank) + " brought malformed data to the rendezvous");
  }
  return member;
}

std::vector<uint16_t> own_cpus() {
  std::vector<uint16_t> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < kMaxCpusTold; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(static_cast<uint16_t>(cpu));
  }
  return cpus;
}

// What the members gave as TUTTI_TRANSPORTS, once it is known to be equal.
std::string transports_of(const Member& member) {
  constexpr std::string_view kName = "transports=";
  for (const std::string& setting : member.agreed) {
    if (setting.starts_with(kName)) return setting.substr(kName.size());
  }
  return {};
}

// What leads out of the node. Interfaces that cannot be listed are the transport's to complain of.
std::vector<std::string> own_interfaces(const Config& config) {
  std::vector<std::string> names;
  if (!leads_between_nodes(config.transports)) return names;
  const Result<std::vector<Interface>> interfaces = usable_interfaces(config.socket_ifname);
  if (interfaces.ok()) {
    for (const Interface& each : interfaces.value()) names.push_back(each.name);
  }
  return names;
}

// Adds what a rank tells of its node. The lowest rank's word holds: whoever disagrees is a container with another view of its host, or goes
// by a TUTTI_NODE_ID that two hosts have.
Status add_node(const Member& member, std::span<const std::byte> bytes, Membership& membership) {
  if (bytes.empty()) return {};
  Result<NodeDescription> node = decode_node(bytes);
  if (!node.ok()) return {node.status().code(), describe(member) + " " + node.status().message()};
  const auto [first, added] = membership.nodes.emplace(member.node, std::move(*node));
  if (!added) log_info(describe(member) + " describes its node again: the word of a lower rank holds");
  return {};
}

Status compare(const Member& first, const Member& other) {
  for (size_t i = 0; i < first.agreed.size(); ++i) {
    if (i < other.agreed.size() && first.agreed[i] == other.agreed[i]) continue;
    const std::string theirs = i < other.agreed.size() ? other.agreed[i] : "nothing";
    return {Code::kInvalidUsage, "ranks are configured differently: " + describe(first) + " has " + first.agreed[i] + ", " +
                                     describe(other) + " has " + theirs + ": give all ranks the same"};
  }
  const std::string transports = transports_of(first);
  if (first.node != other.node && !leads_between_nodes(transports)) {
    return {Code::kInvalidUsage,
            describe(first) + " and " + describe(other) +
                " are on different nodes (boot id or network namespace, or TUTTI_NODE_ID), and no transport of TUTTI_TRANSPORTS=" +
                transports + " leads from one to the other: add tcp"};
  }
  return {};
}

}  // namespace

std::string describe(const Member& member) {
  return "rank " + std::to_string(member.rank) + " (host " + member.host + ", pid " + std::to_string(member.pid) +
         (member.device == "host" ? "" : ", device " + member.device) + ")";
}

std::vector<std::string> agreed_settings(const Config& config) {
  return {"algorithm=" + config.algorithm,
          "transports=" + config.transports,
          "slot_bytes=" + std::to_string(config.slot_bytes),
          "slots=" + std::to_string(config.slots),
          "memory=" + std::to_string(config.memory_bytes),
          "lanes=" + std::to_string(config.lanes),
          "check=" + std::to_string(config.check ? 1 : 0),
          std::string("tuner=") + (config.tuner.empty() ? "none" : "rank 0's")};
}

Member make_member(int rank, const Config& config, std::span<const std::byte> transport) {
  return {.rank = rank,
          .pid = static_cast<uint64_t>(getpid()),
          .host = host_name(),
          .node = config.node_id.empty() ? node_identity() : config.node_id,
          .device = config.device,
          .network_GBps = network_GBps(own_interfaces(config)),
          .cpus = own_cpus(),
          .agreed = agreed_settings(config),
          .transport = {transport.begin(), transport.end()}};
}

NodeDescription describe_own_node(const Config& config) {
  return detect_node(own_interfaces(config));
}

Result<Membership> bootstrap(const RendezvousId& id, Joining joining, const Member& self,
                             const std::function<NodeDescription()>& describe_node) {
  joining.node = std::hash<std::string>{}(self.node);
  const Bytes mine = encode(self);
  const auto of_node = [&] {
    Bytes bytes = encode_node(describe_node());
    if (bytes.size() <= kMostNodeBytes && mine.size() + bytes.size() <= kMaxJoinBytes) return bytes;
    log_info("this machine has more NUMA nodes and devices than fit what ranks tell each other: it is taken for a plain host");
    return Bytes();
  };
  Result<ControlTree::Joined> joined = ControlTree::join(id, joining, mine, describe_node ? std::function<Bytes()>(of_node) : nullptr);
  if (!joined.ok()) return joined.status();
  const std::vector<Bytes>& table = joined->table;
  Membership membership;
  membership.tree = std::move(joined->tree);
  for (int rank = 0; rank < joining.nranks; ++rank) {
    const Bytes& bytes = table[static_cast<size_t>(rank)];
    ByteReader reader(bytes);
    Result<Member> member = decode(reader, rank);
    if (!member.ok()) return member.status();
    if (Status status = add_node(*member, reader.rest(), membership); !status.ok()) return status;
    membership.members.push_back(std::move(*member));
  }
  for (const Member& member : membership.members) {
    if (Status status = compare(membership.members[0], member); !status.ok()) return status;
  }
  return membership;
}

bool cores_suffice(const Membership& membership, const std::string& node) {
  std::set<uint16_t> cpus;
  size_t ranks = 0;
  for (const Member& member : membership.members) {
    if (member.node != node) continue;
    ++ranks;
    cpus.insert(member.cpus.begin(), member.cpus.end());
  }
  return ranks <= cpus.size();
}

}  // namespace tutti
