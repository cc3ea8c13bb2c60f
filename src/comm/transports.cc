#include "comm/transports.h"

#include <algorithm>

#include "base/host.h"
#include "comm/mixed_transport.h"
#include "transports/shm/shm_transport.h"
#include "transports/tcp/tcp_transport.h"

namespace tutti {
namespace {

// Inline slots: 4 KiB of payload beside the flag. Above that the copy outweighs the flag's own line.
constexpr uint32_t kInlineSlots = 8;
constexpr uint32_t kInlineBytes = 4096;
constexpr uint32_t kFlagBytes = 8;
// A network has more bytes under way than a cache, and a channel of a ring has one message under way: eight of 64 KiB are 4 ms of 1 Gbit/s,
// less than a loaded machine leaves a rank without a core. Messages four times as large took an all-reduce of 64 MiB among four hosts with
// a dozen programs to a core from 70 % to 94 % of the wire, and one over loopback from 31 to 28 ms. Sixteen times as large were slower
// again.
constexpr uint32_t kTcpSlotFactor = 4, kTcpLeastSlotFactor = 2;

constexpr uint32_t kLeastSlotBytes = 4096;

// What a transport is made of.
struct Setup {
  int rank = 0;
  int nranks = 1;
  FifoShapes shapes;
  const Config& config;
  const Key& key;
  std::shared_ptr<MemoryBudget> budget;
};

struct TransportEntry {
  const char* name;
  bool leaves_node;            // reaches ranks of other nodes too
  size_t fifo_sides;           // that it keeps memory for: of a FIFO that is carried, both ends' ranks do
  uint32_t least_slot_factor;  // its slots' capacity, in that of `shapes`
  uint32_t slot_factor;        // and where there is memory for it
  Result<std::unique_ptr<Transport>> (*make)(Setup setup);
};

Result<std::unique_ptr<Transport>> make_shm(Setup setup) {
  return make_shm_transport(setup.rank, setup.nranks, setup.shapes, setup.key, std::move(setup.budget));
}

Result<std::unique_ptr<Transport>> make_tcp(Setup setup) {
  const Config& config = setup.config;
  const TcpOptions options = {.interfaces = config.socket_ifname,
                              .sockets = static_cast<int>(config.tcp_sockets),
                              .buffer_bytes = static_cast<size_t>(config.tcp_buffer_bytes),
                              .heartbeat_s = config.heartbeat_s};
  return make_tcp_transport(setup.rank, setup.nranks, setup.shapes, options, setup.key, std::move(setup.budget));
}

// To add a transport: its folder, and a line here.
constexpr TransportEntry kTransports[] = {
    {"shm", false, 1, 1, 1, make_shm},
    {"tcp", true, 2, kTcpLeastSlotFactor, kTcpSlotFactor, make_tcp},
};

const TransportEntry* find_entry(std::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kTransports), std::end(kTransports), [&](const auto& each) { return name == each.name; });
  return found == std::end(kTransports) ? nullptr : found;
}

// Calls act(name) for each name of a list; ends at the first that returns false.
template <class Act>
bool for_each_name(std::string_view list, const Act& act) {
  for (;;) {
    const size_t comma = list.find(',');
    if (!act(list.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

bool names(std::string_view list, const TransportEntry& entry) {
  return !for_each_name(list, [&](std::string_view name) { return name != entry.name; });
}

// FIFOs with every peer: an inline and a staged one for collectives, and a staged one for sends and receives.
size_t mesh_bytes(const TransportEntry& entry, int nranks, const FifoShapes& shapes, uint32_t slot_factor) {
  FifoShape staged = shapes.staged;
  staged.capacity *= slot_factor;
  return static_cast<size_t>(nranks - 1) * entry.fifo_sides * (shapes.inlined.bytes() + 2 * staged.bytes());
}

FifoShapes shapes_of(const TransportEntry& entry, int nranks, const FifoShapes& shapes, const Config& config) {
  uint32_t factor = entry.slot_factor;
  while (factor > entry.least_slot_factor && mesh_bytes(entry, nranks, shapes, factor) > config.memory_bytes) factor /= 2;
  FifoShapes own = shapes;
  own.staged.capacity *= factor;
  return own;
}

}  // namespace

FifoShapes fifo_shapes(int nranks, const Config& config) {
  FifoShapes shapes = {
      .inlined = {.slots = kInlineSlots, .capacity = kInlineBytes, .payload_offset = kFlagBytes},
      .staged = {.slots = static_cast<uint32_t>(config.slots),
                 .capacity = static_cast<uint32_t>(config.slot_bytes),
                 .payload_offset = kLineBytes},
  };
  const auto fits = [&] {
    return std::none_of(std::begin(kTransports), std::end(kTransports), [&](const TransportEntry& entry) {
      return names(config.transports, entry) && mesh_bytes(entry, nranks, shapes, entry.least_slot_factor) > config.memory_bytes;
    });
  };
  while (!fits() && shapes.staged.capacity / 2 >= kLeastSlotBytes) shapes.staged.capacity /= 2;
  return shapes;
}

bool leads_between_nodes(std::string_view transports) {
  return std::any_of(std::begin(kTransports), std::end(kTransports),
                     [&](const TransportEntry& entry) { return entry.leaves_node && names(transports, entry); });
}

Result<std::unique_ptr<Transport>> make_transport(int rank, int nranks, const Config& config, const Key& key,
                                                  std::shared_ptr<MemoryBudget> budget) {
  const FifoShapes shapes = fifo_shapes(nranks, config);
  std::vector<MixedTransport::Part> parts;
  Status failed;
  for_each_name(config.transports, [&](std::string_view name) {
    const TransportEntry* const entry = find_entry(name);
    if (entry == nullptr) {
      failed = {Code::kInvalidArgument, "there is no transport '" + std::string(name) + "' (TUTTI_TRANSPORTS): there are shm and tcp"};
      return false;
    }
    Result<std::unique_ptr<Transport>> made = entry->make({.rank = rank,
                                                           .nranks = nranks,
                                                           .shapes = shapes_of(*entry, nranks, shapes, config),
                                                           .config = config,
                                                           .key = key,
                                                           .budget = budget});
    if (!made.ok()) failed = made.status();
    if (made.ok()) parts.push_back({std::move(*made), entry->leaves_node});
    return failed.ok();
  });
  if (!failed.ok()) return failed;
  const std::string node = config.node_id.empty() ? node_identity() : config.node_id;
  return std::unique_ptr<Transport>(std::make_unique<MixedTransport>(rank, std::move(parts), shapes, node, key));
}

}  // namespace tutti
