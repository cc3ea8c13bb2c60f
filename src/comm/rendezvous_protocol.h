// What both ends of a control connection compute alike: the messages' fields and proofs. See reception.h and rendezvous.h.
// Threading: pure functions.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/crypto.h"
#include "comm/control_address.h"
#include "comm/wire.h"

namespace tutti {

using Nonce = std::array<std::byte, 32>;

inline constexpr uint32_t kProtocolVersion = 4;

// What a process runs. These fields come first in a hello and never change their form, so that any two versions can name each other.
struct Build {
  uint32_t protocol = kProtocolVersion;
  std::string version;  // of the library
  std::string id;       // of its sources
  std::string host;
};
Build own_build();

inline constexpr uint32_t kToRendezvous = 0xffff'ffff;

struct Hello {
  Build build;
  uint32_t rank = 0;
  uint32_t nranks = 1;
  uint32_t to = kToRendezvous;  // the rank that the guest wants to talk to
  uint32_t meeting = 0;
  uint64_t pid = 0;
  double timeout_s = 0;
  Nonce nonce{};
};

// "rank 3 (host h, pid 42)".
std::string name_of(const Hello& hello);

Bytes encode_hello(const Hello& hello);
// Of another protocol's hello only the build and the rank are read.
std::optional<Hello> decode_hello(std::span<const std::byte> body);

// ok: the two understand each other. Errors: kInvalidUsage, naming both.
Status compare_builds(const Hello& guest, const Build& mine);

// `role` keeps one end's proof from serving as the other's, and a rendezvous's from serving in the tree.
enum class Role : uint16_t { kListener = 1, kRank = 2, kParent = 3, kChild = 4 };
Mac handshake_proof(const Key& key, Role role, const Nonce& listener_nonce, std::span<const std::byte> hello_body);

Bytes encode_refusal(const Status& status);
Status decode_refusal(std::span<const std::byte> body, const std::string& from);

// What a rank brings to the rendezvous.
struct Arrival {
  ControlAddress control;  // where its children may reach it
  uint64_t node = 0;       // ranks of one node have equal ones
};
Bytes encode_arrival(const Arrival& arrival);
std::optional<Arrival> decode_arrival(std::span<const std::byte> body);

// A rank's place in the tree. Position p's parent is at (p - 1) / kTreeArity; rank 0 is at position 0, ranks of one node follow each other.
inline constexpr uint32_t kTreeArity = 8;
struct Place {
  uint32_t position = 0;
  bool first_of_node = false;  // of its node's ranks it is the lowest
  int parent = -1;             // its rank; -1: this is the root
  ControlAddress parent_control;
  std::string parent_name;  // as name_of()
  std::vector<int> children;
  std::vector<std::string> child_names;
};
Bytes encode_place(const Place& place);
std::optional<Place> decode_place(std::span<const std::byte> body, int nranks);

}  // namespace tutti
