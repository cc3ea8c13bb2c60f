// The transports of a communicator as one: which are used follows from where the ranks are, and all ranks know the same of it.
#include "comm/mixed_transport.h"

#include <gtest/gtest.h>

#include "comm/transports.h"
#include "tests/support/eventually.h"
#include "tests/support/rank_team.h"

namespace tutti {
namespace {

class Ranks {
 public:
  // A rank a node name.
  Ranks(const std::vector<std::string>& nodes, const std::string& transports) {
    Key key;
    key.fill(std::byte{3});
    const int nranks = static_cast<int>(nodes.size());
    std::vector<std::vector<std::byte>> addresses;
    for (int rank = 0; rank < nranks; ++rank) {
      Config config;
      config.transports = transports;
      config.socket_ifname = "lo";
      config.node_id = nodes[static_cast<size_t>(rank)];
      Result<std::unique_ptr<Transport>> made =
          make_transport(rank, nranks, config, key, std::make_shared<MemoryBudget>(config.memory_bytes));
      status = made.status();
      if (!status.ok()) return;
      all.push_back(std::move(*made));
      addresses.emplace_back(all.back()->address().begin(), all.back()->address().end());
      EXPECT_LE(addresses.back().size(), Transport::kMaxAddressBytes);
    }
    for (auto& transport : all) {
      if (status = transport->introduce(addresses); !status.ok()) return;
    }
  }

  Status status;
  std::vector<std::unique_ptr<Transport>> all;
};

void expect_everywhere(const Ranks& ranks, const std::string& name, uint32_t abilities) {
  ASSERT_TRUE(ranks.status.ok()) << ranks.status.message();
  for (const auto& transport : ranks.all) {
    EXPECT_EQ(transport->name(), name);
    EXPECT_EQ(transport->abilities(), abilities);
    EXPECT_EQ(transport->shapes(), ranks.all[0]->shapes());
  }
}

TEST(MixedTransport, WhatIsUsedFollowsFromTheNodesOfAllRanks) {
  constexpr uint32_t kShm = kAbilityMapped | kAbilityInline | kAbilityDerive, kTcp = kAbilityInline;
  expect_everywhere(Ranks({"a"}, "shm,tcp"), "shm", kShm);
  expect_everywhere(Ranks({"a", "a", "a"}, "shm,tcp"), "shm", kShm);
  expect_everywhere(Ranks({"a", "b", "c"}, "shm,tcp"), "tcp", kTcp);
  expect_everywhere(Ranks({"a", "a", "b"}, "shm,tcp"), "shm+tcp", kTcp);
  expect_everywhere(Ranks({"b", "a", "a"}, "shm,tcp"), "shm+tcp", kTcp);
  expect_everywhere(Ranks({"a", "a", "b"}, "tcp,shm"), "tcp", kTcp);
  expect_everywhere(Ranks({"a", "a"}, "tcp"), "tcp", kTcp);
  expect_everywhere(Ranks({"a", "a"}, "shm"), "shm", kShm);
}

// A message must fit the slots of all that are in use.
TEST(MixedTransport, SlotsAreLargerWhereAllGoesOverANetwork) {
  const auto capacity = [](const std::vector<std::string>& nodes, const std::string& transports) {
    const Ranks ranks(nodes, transports);
    EXPECT_TRUE(ranks.status.ok()) << ranks.status.message();
    return ranks.all[0]->shapes().staged.capacity;
  };
  const Config config;
  EXPECT_EQ(capacity({"a", "a", "a"}, "shm,tcp"), config.slot_bytes);
  EXPECT_EQ(capacity({"a", "a", "b"}, "shm,tcp"), config.slot_bytes);
  EXPECT_EQ(capacity({"a", "b", "c"}, "shm,tcp"), 4 * config.slot_bytes);
  EXPECT_EQ(capacity({"a", "a"}, "tcp"), 4 * config.slot_bytes);
}

TEST(MixedTransport, WithoutAWayBothRanksAreNamed) {
  const Ranks ranks({"a", "a", "b"}, "shm");
  EXPECT_EQ(ranks.status.code(), Code::kInvalidUsage);
  EXPECT_NE(ranks.status.message().find("ranks "), std::string::npos) << ranks.status.message();
  EXPECT_NE(ranks.status.message().find("2"), std::string::npos) << ranks.status.message();
  EXPECT_NE(ranks.status.message().find("TUTTI_TRANSPORTS"), std::string::npos) << ranks.status.message();
}

TEST(MixedTransport, AnUnknownTransportIsNamed) {
  for (const char* list : {"", "shm,", "ucx", "shm,udp"}) {
    const Ranks ranks({"a"}, list);
    EXPECT_EQ(ranks.status.code(), Code::kInvalidArgument) << list;
  }
}

TEST(MixedTransport, MalformedAddressesAreRefused) {
  Ranks ranks({"a", "b"}, "shm,tcp");
  ASSERT_TRUE(ranks.status.ok());
  const auto whole = ranks.all[1]->address();
  for (size_t length = 0; length < whole.size(); ++length) {
    Ranks fresh({"a", "b"}, "shm,tcp");
    const auto own = fresh.all[0]->address();
    // Its transports were introduced by Ranks already; the sizes are checked before them.
    EXPECT_FALSE(fresh.all[0]->introduce({{own.begin(), own.end()}, {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length)}}).ok());
  }
}

TEST(MixedTransport, WhoNeedsNoNetworkClosesItsPort) {
  const Ranks warm_up({"a"}, "shm");  // the control thread's descriptors
  const size_t before = open_descriptors();
  const Ranks without({"a", "a"}, "shm");
  const size_t between = open_descriptors();
  const Ranks with({"a", "a"}, "shm,tcp");
  EXPECT_EQ(open_descriptors() - between, between - before);
}

TEST(MixedTransport, LeadsBetweenNodesWhereOneDoes) {
  EXPECT_TRUE(leads_between_nodes("shm,tcp"));
  EXPECT_TRUE(leads_between_nodes("tcp"));
  EXPECT_FALSE(leads_between_nodes("shm"));
  EXPECT_FALSE(leads_between_nodes(""));
}

// A message each way between all pairs, and the farewell.
TEST(MixedTransport, MessagesFindTheirWay) {
  Ranks ranks({"a", "a", "b"}, "shm,tcp");
  ASSERT_TRUE(ranks.status.ok()) << ranks.status.message();
  constexpr int kRanks = 3;
  for (int from = 0; from < kRanks; ++from) {
    for (int to = 0; to < kRanks; ++to) {
      if (from == to) continue;
      auto& sending = *ranks.all[static_cast<size_t>(from)];
      auto& receiving = *ranks.all[static_cast<size_t>(to)];
      const Result<FifoSender*> out = sending.sender({.peer = to}, 10);
      const Result<FifoReceiver*> in = receiving.receiver({.peer = from}, 10);
      ASSERT_TRUE(out.ok() && in.ok()) << out.status().message() << in.status().message();
      ASSERT_TRUE(out.value()->ready());
      out.value()->payload()[0] = static_cast<std::byte>(10 * from + to);
      out.value()->post(7, 1);
      sending.settle();
      ASSERT_TRUE(eventually([&] { return receiving.progress(), in.value()->ready(); }));
      EXPECT_EQ(in.value()->payload()[0], static_cast<std::byte>(10 * from + to));
      in.value()->release();
    }
  }
  ranks.all[2]->farewell(PeerState::kAborted);
  for (const size_t other : {size_t{0}, size_t{1}}) {
    ASSERT_TRUE(eventually([&] { return ranks.all[other]->progress(), ranks.all[other]->peer_state(2) == PeerState::kAborted; }));
    EXPECT_EQ(ranks.all[other]->peer_state(static_cast<int>(1 - other)), PeerState::kAlive);
  }
}

}  // namespace
}  // namespace tutti
