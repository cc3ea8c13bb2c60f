#include "comm/transports.h"

#include "transports/shm/shm_transport.h"

namespace tutti {
namespace {

// Inline slots: 4 KiB of payload beside the flag. Above that the copy outweighs the flag's own line.
constexpr uint32_t kInlineSlots = 8;
constexpr uint32_t kInlineBytes = 4096;
constexpr uint32_t kFlagBytes = 8;

struct TransportEntry {
  const char* name;
  Result<std::unique_ptr<Transport>> (*make)(int rank, int nranks, const FifoShapes& shapes, const Key& key);
};

// To add a transport: its folder, and a line here.
constexpr TransportEntry kTransports[] = {
    {"shm", make_shm_transport},
};

}  // namespace

Result<std::unique_ptr<Transport>> make_transport(int rank, int nranks, const Config& config, const Key& key) {
  const FifoShapes shapes = {
      .inlined = {.slots = kInlineSlots, .capacity = kInlineBytes, .payload_offset = kFlagBytes},
      .staged = {.slots = static_cast<uint32_t>(config.slots),
                 .capacity = static_cast<uint32_t>(config.slot_bytes),
                 .payload_offset = kLineBytes},
  };
  const std::string first = config.transports.substr(0, config.transports.find(','));
  for (const TransportEntry& entry : kTransports) {
    if (first == entry.name) return entry.make(rank, nranks, shapes, key);
  }
  return Status(Code::kInvalidArgument, "there is no transport '" + first + "' (TUTTI_TRANSPORTS): there is shm");
}

}  // namespace tutti
