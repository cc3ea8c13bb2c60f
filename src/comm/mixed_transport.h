// A communicator's transports as one: to each peer the first of the list that reaches it, ranks of one node by any, ranks of two nodes by
// those that lead out of a node. Which are used follows from the node identities of all ranks, so all ranks know the same of it: name(),
// abilities() and shapes() are equal everywhere.
// Threading: as Transport.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/transport.h"

namespace tutti {

class MixedTransport final : public Transport {
 public:
  struct Part {
    std::unique_ptr<Transport> transport;
    bool leaves_node = false;
  };

  // `parts`: at least one; their staged slots may differ in capacity, and shapes() has the least of those in use. `node`: this rank's node identity; the peers are told a keyed hash
  // of it.
  MixedTransport(int rank, std::vector<Part> parts, const FifoShapes& shapes, const std::string& node, const Key& key);

  // What was derived from one: its only part reaches all.
  MixedTransport(int rank, int nranks, Part part, const FifoShapes& shapes);

  // Before introduce(): of the first part.
  const char* name() const override { return name_.c_str(); }
  uint32_t abilities() const override { return abilities_; }
  const FifoShapes& shapes() const override { return shapes_; }
  std::span<const std::byte> address() const override { return address_; }

  // Errors besides the parts': kInvalidUsage (no part leads to a peer).
  Status introduce(std::vector<std::vector<std::byte>> addresses) override;
  Result<std::unique_ptr<Transport>> derive(std::vector<int> members, uint32_t context, const FifoShapes& shapes,
                                            std::shared_ptr<MemoryBudget> budget) override;
  Result<FifoSender*> sender(const FifoKey& key, double timeout_s) override { return route(key.peer).sender(key, timeout_s); }
  Result<FifoReceiver*> receiver(const FifoKey& key, double timeout_s) override { return route(key.peer).receiver(key, timeout_s); }
  void interrupt_by(std::function<bool()> interrupted) override;
  bool progress() override;
  void settle() override;
  PeerState peer_state(int peer) const override { return route(peer).peer_state(peer); }
  void farewell(PeerState state) override;

 private:
  Transport& route(int peer) const { return *routes_[static_cast<size_t>(peer)]; }
  void take_up(const std::vector<size_t>& used);

  int rank_;
  std::vector<Part> parts_;  // those without a peer here are given up by introduce()
  FifoShapes shapes_;
  std::vector<std::byte> address_;
  std::vector<Transport*> routes_;   // by peer
  std::vector<Transport*> carried_;  // those whose slots do not arrive by themselves
  std::string name_;
  uint32_t abilities_ = 0;
};

}  // namespace tutti
