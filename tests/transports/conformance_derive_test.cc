// Conformance of kAbilityDerive: transports over the connections of another, with FIFOs and farewells of their own.
#include <csignal>
#include <filesystem>

#include "tests/transports/traffic.h"

namespace tutti {
namespace {

class DeriveConformance : public Conformance {
 protected:
  void SetUp() override {
    if (!GetParam().derives) GTEST_SKIP() << GetParam().name << " does not derive";
  }

  // body(rank, child) on all ranks of `nranks`; `child` is nullptr where the rank is none of `members`.
  template <class Body>
  void run_derived(int nranks, const std::vector<int>& members, const Body& body) {
    run_connected(nranks, [&](TestRank& rank) {
      const bool is_member = std::find(members.begin(), members.end(), rank.rank) != members.end();
      std::optional<TestRank> child;
      if (is_member) child.emplace(rank.derive(members, 7));
      rank.barrier();
      if (is_member) {
        ASSERT_TRUE(child->transport->introduce({}).ok());
      }
      body(rank, is_member ? &*child : nullptr);
    });
  }
};

size_t open_descriptors() {
  const std::filesystem::directory_iterator each("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(each), end(each)));
}

// So that no transport loses the ability, and its tests with it, unseen.
class DeriveAbility : public Conformance {};

TEST_P(DeriveAbility, IsWhatTheFixtureSays) {
  run_connected(2, [this](TestRank& rank) { EXPECT_EQ((rank.transport->abilities() & kAbilityDerive) != 0, GetParam().derives); });
}

TEST_P(DeriveConformance, ParentAndChildExchangeSideBySide) {
  run_derived(5, {4, 2, 0}, [](TestRank& rank, TestRank* child) {
    Traffic parents(rank);
    std::optional<Traffic> childs;
    if (child != nullptr) childs.emplace(*child);
    for (int round = 0; round < 3; ++round) {
      parents.exchange(20);
      if (childs) childs->exchange(20);
    }
    rank.barrier();
  });
}

TEST_P(DeriveConformance, AChildOutlivesItsParent) {
  run_derived(3, {1, 2, 0}, [](TestRank& rank, TestRank* child) {
    Traffic(rank).exchange(10);
    rank.barrier();
    rank.transport.reset();
    rank.barrier();
    Traffic(*child).exchange(10);
    for (int peer = 0; peer < 3; ++peer) {
      if (peer == child->rank) continue;
      EXPECT_EQ(child->transport->peer_state(peer), PeerState::kAlive);
    }
    rank.barrier();
  });
}

TEST_P(DeriveConformance, AChildHasChildren) {
  run_derived(4, {3, 2, 1}, [](TestRank& rank, TestRank* child) {
    std::optional<TestRank> grandchild;
    if (child != nullptr && child->rank != 0) grandchild.emplace(child->derive({2, 1}, 8));
    rank.barrier();
    if (grandchild) {
      ASSERT_TRUE(grandchild->transport->introduce({}).ok());
      child->transport.reset();
      Traffic(*grandchild).exchange(30);
    }
    rank.barrier();
  });
}

TEST_P(DeriveConformance, FarewellsAreEachTheirOwn) {
  run_derived(3, {2, 0, 1}, [](TestRank& rank, TestRank* child) {
    Traffic(rank).exchange(5);
    Traffic(*child).exchange(5);
    rank.barrier();
    if (child->rank == 0) {
      child->transport->farewell(PeerState::kAborted);
    } else {
      child->await_state(0, PeerState::kAborted);
    }
    rank.barrier();
    Traffic(rank, {Protocol::kInline}, 2).exchange(5);
    const int other = rank.rank == 2 ? 0 : 2;
    EXPECT_EQ(rank.transport->peer_state(other), PeerState::kAlive);
    rank.barrier();
  });
}

TEST_P(DeriveConformance, WhoConnectsLaterHearsTheFarewell) {
  run_derived(3, {0, 1, 2}, [](TestRank& rank, TestRank* child) {
    if (child->rank == 1) child->transport->farewell(PeerState::kAborted);
    rank.barrier();
    if (child->rank == 0) {
      child->receiver(1);
      child->await_state(1, PeerState::kAborted);
    }
    rank.barrier();
  });
}

TEST_P(DeriveConformance, ANumberServesOneChildOnly) {
  run_derived(2, {0, 1}, [](TestRank& rank, TestRank* child) {
    const Result<std::unique_ptr<Transport>> again = rank.transport->derive({0, 1}, 7, kTestShapes, test_budget());
    EXPECT_EQ(again.status().code(), Code::kInternal);
    rank.barrier();
    Traffic(*child).exchange(5);  // the first is none the worse
    rank.barrier();
  });
}

// The point of it: a descriptor for the child's memory, and none for a connection.
TEST_P(DeriveConformance, ConnectionsAreShared) {
  run_connected(3, [](TestRank& rank) {
    Traffic(rank).exchange(5);
    rank.barrier();
    const size_t before = open_descriptors();
    rank.barrier();
    constexpr size_t kChildren = 8;
    std::list<TestRank> children;
    for (uint32_t i = 0; i < kChildren; ++i) children.push_back(rank.derive({2, 1, 0}, 100 + i));
    rank.barrier();
    for (TestRank& child : children) {
      ASSERT_TRUE(child.transport->introduce({}).ok());
      Traffic(child).exchange(5);
    }
    rank.barrier();
    constexpr size_t kRanksHere = CONFORMANCE_MODE == Mode::kThreads ? 3 : 1;
    // Each rank that counts has a descriptor open for it.
    EXPECT_LE(open_descriptors(), before + kChildren * kRanksHere + kRanksHere);
    rank.barrier();
  });
}

TEST_P(DeriveConformance, DeathIsHeardInEveryContext) {
  if (CONFORMANCE_MODE != Mode::kProcesses) GTEST_SKIP() << "a thread cannot be killed";
  constexpr int kKilled[] = {1};
  const auto ends = run(Mode::kProcesses, 3, [](TestRank& rank) {
    rank.open();
    TestRank child = rank.derive({2, 1, 0}, 7);
    rank.barrier();
    ASSERT_TRUE(child.transport->introduce({}).ok());
    Traffic(child).exchange(5);
    rank.barrier();
    if (rank.rank == 1) std::raise(SIGKILL);
    rank.await_state(1, PeerState::kDied);
    child.await_state(1, PeerState::kDied);
    EXPECT_EQ(child.transport->peer_state(rank.rank), PeerState::kAlive);
    rank.meeting.mark(rank.rank, 0);
    for (const int other : {0, 2}) rank.meeting.await_mark(other, 0);
  });
  expect_ends(ends, kKilled);
}

INSTANTIATE_TEST_SUITE_P(Each, DeriveAbility, ::testing::ValuesIn(kTransportsUnderTest), fixture_name);
INSTANTIATE_TEST_SUITE_P(Each, DeriveConformance, ::testing::ValuesIn(kTransportsUnderTest), fixture_name);

}  // namespace
}  // namespace tutti
