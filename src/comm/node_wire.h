// How the description of a node (src/topology/node_description.h) travels: compact, since every rank gets every node's. CPUs go as runs
// "first, count, step".
// Threading: pure functions.
#pragma once

#include <span>

#include "comm/wire.h"
#include "topology/node_description.h"

namespace tutti {

// Whoever brings more of itself to the bootstrap (kMaxJoinBytes) has to leave its node's description out.
inline constexpr size_t kMostNodeBytes = 3072;

Bytes encode_node(const NodeDescription& node);

// Errors (kRemote): the end of a sentence that begins with who brought it. The result is sound (flaw_of), and what encode_node() made of a
// sound one is read back equal.
Result<NodeDescription> decode_node(std::span<const std::byte> bytes);

// Of ascending CPUs. get: nothing past the reader's end, and no more than kMostCpus.
inline constexpr size_t kMostCpus = 4096;
void put_cpus(ByteWriter& writer, std::span<const uint16_t> cpus);
std::vector<uint16_t> get_cpus(ByteReader& reader);

}  // namespace tutti
