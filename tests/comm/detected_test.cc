// The machine as the ranks of a communicator gather it: each node described once, all ranks the same graph, a wrong description refused
// with the rank that brought it, and the graph written for who asks.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "comm/communicator.h"
#include "comm/node_wire.h"
#include "comm/split.h"
#include "tests/comm/raw_guest.h"
#include "topology/graph_json.h"

namespace tutti {
namespace {

NodeDescription node_with(const std::string& interface) {
  NodeDescription node{.numa = {{}}};
  node.interfaces.push_back({.name = interface, .kind = "ethernet", .GBps = 12.5});
  return node;
}

// Ranks 0 and 2 are on one node, 1, 3 and 4 on another; what rank r says of its node is an interface "eth" + r.
TEST(Detected, OneRankOfEachNodeDescribesIt) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  std::atomic<int> described{0};  // relaxed: read after all have ended
  std::vector<std::future<Result<Membership>>> ranks;
  for (int rank = 0; rank < 5; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank] {
      Config config;
      config.transports = "tcp";
      config.node_id = rank == 0 || rank == 2 ? "here" : "there";
      return bootstrap(id.value(), {.rank = rank, .nranks = 5}, make_member(rank, config, {}), [&, rank] {
        described.fetch_add(1, std::memory_order_relaxed);
        return node_with("eth" + std::to_string(rank));
      });
    }));
  }
  for (auto& rank : ranks) {
    const Result<Membership> membership = rank.get();
    ASSERT_TRUE(membership.ok()) << membership.status().message();
    const NodeDescriptions expected{{"here", node_with("eth0")}, {"there", node_with("eth1")}};
    EXPECT_TRUE(membership.value().nodes == expected);
  }
  EXPECT_EQ(described.load(std::memory_order_relaxed), 2);
}

// What a rank that has lost its mind says of its node.
Result<Membership> told_by_rank_1(const Bytes& node) {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok());
  Config config;
  config.transports = "shm";
  const auto meet = [&](uint32_t meeting, std::span<const std::byte> one) {
    auto zero = std::async(std::launch::async, [&, meeting] {
      return bootstrap(id.value(), {.rank = 0, .nranks = 2, .meeting = meeting}, make_member(0, config, {}),
                       [] { return node_with("eth0"); });
    });
    auto table = join_table(id.value(), {.rank = 1, .nranks = 2, .meeting = meeting}, one);
    return std::pair(zero.get(), std::move(table));
  };
  Bytes member = meet(1, {}).second.value()[0];
  member.resize(member.size() - encode_node(node_with("eth0")).size());  // rank 0 as it speaks, without its node
  member[0] = std::byte{1};
  member.insert(member.end(), node.begin(), node.end());
  return meet(2, member).first;
}

TEST(Detected, AWrongDescriptionIsRefusedWithItsRank) {
  const Bytes good = encode_node(node_with("eth1"));
  const Result<Membership> again = told_by_rank_1(good);  // a second one of the same node: the lower rank's word holds
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again.value().nodes.begin()->second.interfaces[0].name, "eth0");
  NodeDescription impossible = node_with("eth1");
  impossible.interfaces[0].numa = 7;
  const struct {
    Bytes bytes;
    const char* says;
  } kWrong[] = {{Bytes(good.begin(), good.end() - 1), "brought a malformed description of its node"},
                {Bytes(kMostNodeBytes + 1), "over the bound of 3072"},
                {encode_node(impossible), "it puts eth1 into a NUMA node that it does not have"}};
  for (const auto& wrong : kWrong) {
    const Result<Membership> result = told_by_rank_1(wrong.bytes);
    ASSERT_FALSE(result.ok()) << wrong.says;
    EXPECT_EQ(result.status().code(), Code::kRemote);
    EXPECT_NE(result.status().message().find("rank 1 (host "), std::string::npos) << result.status().message();
    EXPECT_NE(result.status().message().find(wrong.says), std::string::npos) << result.status().message();
  }
}

using Body = std::function<void(Communicator&)>;

void join_all(int nranks, const std::function<void(int, Config&)>& configure, const Body& body) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  std::vector<std::future<Status>> ranks;
  for (int rank = 0; rank < nranks; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank]() -> Status {
      Config config;
      config.transports = "shm,tcp";
      configure(rank, config);
      auto comm = Communicator::join(id.value(), {.rank = rank, .nranks = nranks, .timeout_s = 60}, config);
      if (!comm.ok()) return comm.status();
      body(**comm);
      return (*comm)->finalize();
    }));
  }
  for (auto& rank : ranks) {
    const Status end = rank.get();
    EXPECT_TRUE(end.ok()) << end.message();
  }
}

class Dumped : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  const std::string path_ = ::testing::TempDir() + "/detected_test." + std::to_string(getpid()) + ".json";
};

TEST_F(Dumped, TheGraphIsWrittenAndReadAgain) {
  const auto nodes = [&](int rank, Config& config) {
    config.node_id = "node" + std::to_string(rank / 2);
    if (rank == 0) config.topo_dump = path_;
  };
  join_all(4, nodes, [](Communicator&) {});
  Result<Graph> graph = read_graph_file(path_);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(graph->source, "detected");
  EXPECT_EQ(graph->name, "2 nodes");
  ASSERT_EQ(graph->endpoints.size(), 4u);
  EXPECT_EQ(graph->endpoints[2].node, "node1");
  // As a declared machine it is what the ranks plan by, and what a part of them does.
  join_all(
      4, [&](int, Config& config) { config.topo_file = path_; },
      [&](Communicator& comm) {
        EXPECT_TRUE(comm.topology_of({0, 1, 2, 3}) == graph.value());
        Result<std::unique_ptr<Communicator>> half = split(comm, comm.rank() / 2, comm.rank(), comm.config());
        ASSERT_TRUE(half.ok()) << half.status().message();
        EXPECT_TRUE((*half)->finalize().ok());
      });
}

TEST_F(Dumped, AFileThatCannotBeWrittenHarmsNobody) {
  join_all(
      2, [](int, Config& config) { config.topo_dump = "/nonexistent/graph.json"; },
      [](Communicator& comm) { EXPECT_EQ(comm.async_error(), Code::kOk); });
}

// Three ranks, of which one plans by another graph.
TEST(Detected, ARankWithAnotherGraphIsToldToAll) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  std::vector<std::future<std::string>> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank]() -> std::string {
      Result<ControlTree::Joined> joined = ControlTree::join(id.value(), {.rank = rank, .nranks = 3}, Bytes(4));
      if (!joined.ok()) return joined.status().message();
      const auto health = std::make_shared<Health>(*joined->tree, 0, rank, std::vector<std::string>{"rank 0", "rank 1", "rank 2"});
      joined->tree->attach(0, health);
      health->compare_graph(rank == 2 ? 17 : 16);
      for (int waited_ms = 0; !health->failed() && waited_ms < 60'000; ++waited_ms)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::optional<Failure> failure = health->failure_of_others();
      health->leave();
      joined->tree->detach(0);
      return failure ? failure->sentence : "nothing";
    }));
  }
  for (auto& rank : ranks) EXPECT_EQ(rank.get().find("rank 2 has another graph of the machine than rank 0"), 0u);
}

}  // namespace
}  // namespace tutti
