// What the conformance tests share: a rank with its transport, connected to its peers, and the test class that runs a body on n of them,
// as threads or as processes (CONFORMANCE_MODE: the same tests are built into one program for each).
// Threading: a TestRank belongs to its rank's thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/support/eventually.h"
#include "tests/support/rank_team.h"
#include "tests/transports/fixtures.h"

namespace tutti {

// Small, and no powers of two where they need not be.
inline constexpr FifoShapes kTestShapes = {.inlined = {.slots = 8, .capacity = 200, .payload_offset = 8},
                                           .staged = {.slots = 3, .capacity = 1020, .payload_offset = 64}};

inline constexpr double kConnect_s = 30;

inline Key test_key(unsigned char fill = 0x5a) {
  Key key;
  key.fill(std::byte{fill});
  return key;
}

class TestRank {
 public:
  TestRank(const TransportFixture& fixture, Meeting& at, int number, int of, const FifoShapes& shapes = kTestShapes)
      : rank(number), nranks(of), meeting(at), fixture_(fixture), shapes_(shapes) {}

  // Makes the transport; then all ranks introduce themselves to all. Again and again where they like.
  void open() {
    make();
    meeting.publish(rank, transport->address());
    barrier();
    introduce();
    barrier();
  }
  void make() {
    Result<std::unique_ptr<Transport>> made = fixture_.make(rank, nranks, shapes_, test_key());
    if (!made.ok()) throw std::runtime_error("make: " + made.status().message());
    transport = std::move(*made);
  }
  void introduce() {
    std::vector<std::vector<std::byte>> addresses;
    for (int peer = 0; peer < nranks; ++peer) addresses.push_back(meeting.await_published(peer));
    const Status status = transport->introduce(std::move(addresses));
    if (!status.ok()) throw std::runtime_error("introduce: " + status.message());
  }

  // This rank among `members` over a derived transport. All members call it, and then introduce() after a barrier of theirs.
  TestRank derive(std::vector<int> members, uint32_t context) const {
    const auto place = static_cast<int>(std::find(members.begin(), members.end(), rank) - members.begin());
    TestRank derived(fixture_, meeting, place, static_cast<int>(members.size()), shapes_);
    Result<std::unique_ptr<Transport>> made = transport->derive(std::move(members), context, shapes_, test_budget());
    if (!made.ok()) throw std::runtime_error("derive: " + made.status().message());
    derived.transport = std::move(*made);
    return derived;
  }

  // The ends of a FIFO, which must come about.
  FifoSender& sender(int peer, Protocol protocol = Protocol::kStaged, int channel = 0) {
    const Result<FifoSender*> made = transport->sender({.peer = peer, .channel = channel, .protocol = protocol}, kConnect_s);
    if (!made.ok()) throw std::runtime_error("sender to " + std::to_string(peer) + ": " + made.status().message());
    return *made.value();
  }
  FifoReceiver& receiver(int peer, Protocol protocol = Protocol::kStaged, int channel = 0) {
    const Result<FifoReceiver*> made = transport->receiver({.peer = peer, .channel = channel, .protocol = protocol}, kConnect_s);
    if (!made.ok()) throw std::runtime_error("receiver from " + std::to_string(peer) + ": " + made.status().message());
    return *made.value();
  }

  // Waits until that end is ready; the transport may move meanwhile.
  template <class End>
  void await_ready(End& end) {
    if (!eventually([&] { return transport->progress(), end.ready(); })) throw std::runtime_error("an end never became ready");
  }
  void await_state(int peer, PeerState state) {
    if (eventually([&] { return transport->progress(), transport->peer_state(peer) == state; })) return;
    throw std::runtime_error("rank " + std::to_string(peer) + " is in state " +
                             std::to_string(static_cast<int>(transport->peer_state(peer))) + ", not " +
                             std::to_string(static_cast<int>(state)));
  }

  void barrier() { meeting.barrier(rank, nranks); }
  // As an operation waits: what the peers need of the transport meanwhile, credits too, goes on.
  void driving_barrier() {
    meeting.barrier(rank, nranks, [this] { transport->progress(); });
  }

  const int rank;
  const int nranks;
  Meeting& meeting;
  std::unique_ptr<Transport> transport;

 private:
  const TransportFixture& fixture_;
  FifoShapes shapes_;
};

class Conformance : public ::testing::TestWithParam<TransportFixture> {
 protected:
  // body(rank), for `nranks` ranks that have not opened their transports.
  template <class Body>
  std::vector<RankEnd> run(Mode mode, int nranks, const Body& body) {
    return run_ranks(mode, nranks, [&](Meeting& meeting, int number) {
      TestRank rank(GetParam(), meeting, number, nranks);
      body(rank);
    });
  }

#ifdef CONFORMANCE_MODE
  // body(rank), for ranks that have opened theirs; all must end well.
  template <class Body>
  void run_connected(int nranks, const Body& body) {
    expect_ends(run(CONFORMANCE_MODE, nranks, [&](TestRank& rank) {
      rank.open();
      body(rank);
    }));
  }
#endif
};

inline std::string fixture_name(const ::testing::TestParamInfo<TransportFixture>& instance) {
  return instance.param.name;
}

}  // namespace tutti
