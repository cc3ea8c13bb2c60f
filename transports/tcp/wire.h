// What travels on a data connection: first the handshake (handshake.h), then frames, each a fixed header and its payload.
//
//   data     a message of one FIFO, with the credits of the opposite FIFO where both go over this connection
//   credit   how many messages of a FIFO were consumed
//   goodbye  the sender leaves or has failed; frames may still follow
//
// A reader believes nothing before it has checked it: kind, channel, protocol, length against the slot, and that a slot is free.
// Integers are little-endian, as every machine is that Tutti runs on.
// Threading: value types.
#pragma once

#include <bit>
#include <cstdint>

#include "executor/transport.h"

namespace tutti::tcp {

static_assert(std::endian::native == std::endian::little, "frames travel as they lie");

enum class FrameKind : uint8_t { kData = 1, kCredit = 2, kGoodbye = 3 };

struct FrameHeader {
  uint32_t bytes = 0;      // of payload that follows; data only
  uint32_t credit = 0;     // messages consumed, modulo 2^32, of the FIFO with these names that runs towards the reader of this frame
  uint16_t signature = 0;  // data
  uint16_t channel = 0;
  FrameKind kind = FrameKind::kData;
  Protocol protocol = Protocol::kStaged;
  uint8_t has_credit = 0;
  PeerState goodbye = PeerState::kAlive;  // goodbye: how
};
static_assert(sizeof(FrameHeader) == 16);

// Connections of a pair of ranks at most.
inline constexpr int kMaxSockets = 8;

}  // namespace tutti::tcp
