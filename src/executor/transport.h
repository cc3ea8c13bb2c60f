// What a transport is: it makes the two ends of FIFOs between one rank and its peers, and knows whether a peer still lives. How a new
// one is added: a folder under transports/ with a Transport, and a line in the list of comm/transports.cc.
//
// The executor touches slots only through fifo.h. A transport whose far side can be mapped hands out memory that both ends share; one whose
// far side cannot gives local memory, and moves slots in progress().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/status.h"
#include "executor/fifo.h"
#include "executor/memory_budget.h"
#include "plan/request.h"

namespace tutti {

// Capability bits. None changes results.
enum Ability : uint32_t {
  kAbilityMapped = 1u << 0,  // both ends touch the same slots; progress() has nothing to do
  kAbilityInline = 1u << 1,  // offers Protocol::kInline
  kAbilityDerive = 1u << 2,  // offers derive()
};

// What all ranks know of a transport's FIFOs before they connect. Equal on all ranks (checked at init). The slices of a program follow from
// a communicator's capacities: where it has several transports, from the least; the number of slots is the transport's own.
struct FifoShapes {
  FifoShape inlined;
  FifoShape staged;

  const FifoShape& of(Protocol protocol) const { return protocol == Protocol::kInline ? inlined : staged; }
  bool operator==(const FifoShapes&) const = default;
};

// A FIFO from this rank's point of view: the peer is its other end.
struct FifoKey {
  int peer = 0;
  int channel = 0;  // 0 .. kFifoChannels-1
  Protocol protocol = Protocol::kStaged;

  auto operator<=>(const FifoKey&) const = default;
};

// A program's channels; the lanes of a communicator, the last for point to point; and the FIFO channels between two ranks that follow.
inline constexpr int kMaxChannels = 8;
inline constexpr int kMaxLanes = 5;
inline constexpr int kPointToPointLane = kMaxLanes - 1;
inline constexpr int kFifoChannels = kMaxChannels * kMaxLanes;

enum class PeerState : uint8_t {
  kAlive,    // or not known to be anything else
  kLeft,     // said goodbye: it will send nothing more
  kAborted,  // said that it failed
  kDied,     // its process is gone without a word
  kAbsent,   // it was gone before there was a connection: whether it left or died, others may know
};

// One rank's part. Threading: sender(), receiver(), progress(), settle(), peer_state() and farewell() from any thread; a FIFO end belongs
// to one at a time.
class Transport {
 public:
  // Closes all; never blocks without bound. FIFO ends become invalid.
  virtual ~Transport() = default;

  virtual const char* name() const = 0;
  virtual uint32_t abilities() const = 0;
  virtual const FifoShapes& shapes() const = 0;

  // What the peers need to reach this rank; the bootstrap carries it. At most kMaxAddressBytes. Constant.
  static constexpr size_t kMaxAddressBytes = 256;
  virtual std::span<const std::byte> address() const = 0;

  // The addresses of all ranks, by rank; none for a derived transport. Called once, before the first FIFO.
  virtual Status introduce(std::vector<std::vector<std::byte>> addresses) = 0;

  // The two ends; made at the first call, which may wait for the peer's control thread (never for its calls) within `timeout_s`. They stay
  // valid and in place for the transport's life. A peer that has gone is no error here, since an operation may need nothing more of it: the
  // FIFO then leads nowhere, and peer_state() tells who waits. Errors: kTimeout, kSystem (memory, descriptors), kAborted (this rank has
  // said its farewell, or was interrupted).
  virtual Result<FifoSender*> sender(const FifoKey& key, double timeout_s) = 0;
  virtual Result<FifoReceiver*> receiver(const FifoKey& key, double timeout_s) = 0;

  // `interrupted` is asked now and then, by any thread, while sender() or receiver() waits: true ends that. Once, before the first FIFO.
  virtual void interrupt_by(std::function<bool()> interrupted) { interrupted_ = std::move(interrupted); }

  // With kAbilityDerive: a transport among some of these ranks, over the same connections, with FIFOs and a farewell of its own. `members`:
  // their ranks here, in their new order, this rank's among them. All of them derive with the same `context`, a number that was never used
  // before; when all have, each calls introduce() with no addresses. Either transport may be destroyed first. Errors: kSystem.
  virtual Result<std::unique_ptr<Transport>> derive(std::vector<int> /*members*/, uint32_t /*context*/, const FifoShapes& /*shapes*/,
                                                    std::shared_ptr<MemoryBudget> /*budget*/) {
    return Status(Code::kInternal, std::string(name()) + " cannot derive");
  }

  // Moves what waits on the far side of local slots, and credits. Never blocks. True if anything moved. Where slots are carried, a peer
  // may stand without credit until this rank comes here again.
  virtual bool progress() { return false; }

  // Whoever drove progress() may not come back for long: what was posted gets out without it. Never blocks. For no mapped transport.
  virtual void settle() {}

  // What is known by now; where slots are carried, progress() brings the news, in order with the data before it.
  virtual PeerState peer_state(int peer) const = 0;

  // Tells every connected peer, once, that this rank leaves (kLeft) or has failed (kAborted). Does not block.
  virtual void farewell(PeerState state) = 0;

 protected:
  bool interrupted() const { return interrupted_ && interrupted_(); }

 private:
  std::function<bool()> interrupted_;
};

}  // namespace tutti
