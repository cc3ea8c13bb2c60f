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
// A network has more bytes under way than a cache: 512 KiB a FIFO by default, which is 40 us of 100 Gbit/s, or 4 ms of 1 Gbit/s.
constexpr uint32_t kTcpSlotFactor = 2;

struct TransportEntry {
  const char* name;
  bool leaves_node;  // reaches ranks of other nodes too
  Result<std::unique_ptr<Transport>> (*make)(int rank, int nranks, const FifoShapes& shapes, const Config& config, const Key& key);
};

Result<std::unique_ptr<Transport>> make_shm(int rank, int nranks, const FifoShapes& shapes, const Config&, const Key& key) {
  return make_shm_transport(rank, nranks, shapes, key);
}

Result<std::unique_ptr<Transport>> make_tcp(int rank, int nranks, const FifoShapes& shapes, const Config& config, const Key& key) {
  FifoShapes wide = shapes;
  wide.staged.slots *= kTcpSlotFactor;
  const TcpOptions options = {.interfaces = config.socket_ifname,
                              .sockets = static_cast<int>(config.tcp_sockets),
                              .buffer_bytes = static_cast<size_t>(config.tcp_buffer_bytes)};
  return make_tcp_transport(rank, nranks, wide, options, key);
}

// To add a transport: its folder, and a line here.
constexpr TransportEntry kTransports[] = {
    {"shm", false, make_shm},
    {"tcp", true, make_tcp},
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

}  // namespace

bool leads_between_nodes(std::string_view transports) {
  return !for_each_name(transports, [](std::string_view name) {
    const TransportEntry* const entry = find_entry(name);
    return entry == nullptr || !entry->leaves_node;
  });
}

Result<std::unique_ptr<Transport>> make_transport(int rank, int nranks, const Config& config, const Key& key) {
  const FifoShapes shapes = {
      .inlined = {.slots = kInlineSlots, .capacity = kInlineBytes, .payload_offset = kFlagBytes},
      .staged = {.slots = static_cast<uint32_t>(config.slots),
                 .capacity = static_cast<uint32_t>(config.slot_bytes),
                 .payload_offset = kLineBytes},
  };
  std::vector<MixedTransport::Part> parts;
  Status failed;
  for_each_name(config.transports, [&](std::string_view name) {
    const TransportEntry* const entry = find_entry(name);
    if (entry == nullptr) {
      failed = {Code::kInvalidArgument, "there is no transport '" + std::string(name) + "' (TUTTI_TRANSPORTS): there are shm and tcp"};
      return false;
    }
    Result<std::unique_ptr<Transport>> made = entry->make(rank, nranks, shapes, config, key);
    if (!made.ok()) failed = made.status();
    if (made.ok()) parts.push_back({std::move(*made), entry->leaves_node});
    return failed.ok();
  });
  if (!failed.ok()) return failed;
  const std::string node = config.node_id.empty() ? node_identity() : config.node_id;
  return std::unique_ptr<Transport>(std::make_unique<MixedTransport>(rank, std::move(parts), shapes, node, key));
}

}  // namespace tutti
