#include "comm/transports.h"

#include "transports/shm/shm_transport.h"

namespace tutti {
namespace {

// Inline slots: 4 KiB of payload beside the flag. Above that the copy outweighs the flag's own line.
constexpr uint32_t kInlineSlots = 8;
constexpr uint32_t kInlineBytes = 4096;
constexpr uint32_t kFlagBytes = 8;
constexpr uint32_t kLeastSlotBytes = 4096;

struct TransportEntry {
  const char* name;
  Result<std::unique_ptr<Transport>> (*make)(int rank, int nranks, const FifoShapes& shapes, const Key& key, size_t budget_bytes);
};

// To add a transport: its folder, and a line here.
constexpr TransportEntry kTransports[] = {
    {"shm", make_shm_transport},
};

}  // namespace

FifoShapes fifo_shapes(int nranks, const Config& config) {
  FifoShapes shapes = {
      .inlined = {.slots = kInlineSlots, .capacity = kInlineBytes, .payload_offset = kFlagBytes},
      .staged = {.slots = static_cast<uint32_t>(config.slots),
                 .capacity = static_cast<uint32_t>(config.slot_bytes),
                 .payload_offset = kLineBytes},
  };
  // From every peer: an inline and a staged one for collectives, and a staged one for sends and receives.
  const auto mesh_bytes = [&] { return static_cast<size_t>(nranks - 1) * (shapes.inlined.bytes() + 2 * shapes.staged.bytes()); };
  while (mesh_bytes() > config.memory_bytes && shapes.staged.capacity / 2 >= kLeastSlotBytes) shapes.staged.capacity /= 2;
  return shapes;
}

Result<std::unique_ptr<Transport>> make_transport(int rank, int nranks, const Config& config, const Key& key) {
  const std::string first = config.transports.substr(0, config.transports.find(','));
  for (const TransportEntry& entry : kTransports) {
    if (first == entry.name) return entry.make(rank, nranks, fifo_shapes(nranks, config), key, config.memory_bytes);
  }
  return Status(Code::kInvalidArgument, "there is no transport '" + first + "' (TUTTI_TRANSPORTS): there is shm");
}

}  // namespace tutti
