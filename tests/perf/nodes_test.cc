// Ranks of several nodes: every collective exact where shared memory joins some ranks and TCP others, and over TCP alone. Suites:
// MixedNodes fakes two nodes by TUTTI_NODE_ID; Sockets fakes two sockets by HWLOC_SYNTHETIC; TcpOnly is one host without shared memory;
// Hosts has real network namespaces as hosts, with no TUTTI variable set but tutti-run's (root only).
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <string>

#include "program.h"

namespace {

using namespace perf_test;

constexpr const char* kCollectives[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast",        "reduce",   "gather", "scatter",
                                        "alltoall",   "alltoallv",  "all_gather_v",   "reduce_scatter_v", "sendrecv", "barrier"};

// Small, over an inline slot, and several slices.
std::string arguments_of(const std::string& collective) {
  return collective + (collective == "barrier" ? " -w 0 -i 3" : " -b 8 -e 1M -f 362 -w 0 -i 1");
}

void expect_exact(const Result& result, int ranks, const char* transport) {
  ASSERT_EQ(result.status, 0) << result.err << result.out;
  ASSERT_TRUE(result.json.is_object()) << result.out;
  EXPECT_EQ(result.json["ranks"], ranks);
  EXPECT_EQ(result.json["transport"], transport);
  ASSERT_GE(result.json["rows"].size(), 1u);
  for (const Json& row : result.json["rows"]) {
    if (row["wrong"].is_null()) {
      EXPECT_EQ(result.json["collective"], "barrier");
      continue;
    }
    EXPECT_EQ(row["wrong"], 0) << row;
    if (!row["in_place"].is_null()) {
      EXPECT_EQ(row["in_place"]["wrong"], 0) << row;
    }
  }
}

class MixedNodes : public ::testing::TestWithParam<const char*> {};

TEST_P(MixedNodes, AreExact) {
  const std::string by_rank = R"(sh -c 'export TUTTI_NODE_ID=node$((TUTTI_RANK / 2)); exec "$@"' -- )";
  for (const int ranks : {3, 4}) {  // with 3, the last rank is alone on its node
    SCOPED_TRACE(ranks);
    const std::string launcher = std::string(TUTTI_RUN) + " -n " + std::to_string(ranks) + " -- ";
    expect_exact(run(launcher + by_rank + kPerf + " " + arguments_of(GetParam())), ranks, "shm+tcp");
  }
}

TEST(Nodes, EveryRankANodeOfItsOwnIsTcp) {
  const std::string by_rank = R"(sh -c 'export TUTTI_NODE_ID=node$TUTTI_RANK; exec "$@"' -- )";
  expect_exact(run(std::string(TUTTI_RUN) + " -n 3 -- " + by_rank + kPerf + " " + arguments_of("all_reduce")), 3, "tcp");
}

TEST(Nodes, WithoutACommonTransportBothRanksAreNamed) {
  const std::string by_rank = R"(sh -c 'export TUTTI_TRANSPORTS=shm TUTTI_NODE_ID=node$TUTTI_RANK; exec "$@"' -- )";
  const Result result = run(std::string(TUTTI_RUN) + " -n 2 -- " + by_rank + kPerf + " all_reduce -b 8 -e 8");
  EXPECT_NE(result.status, 0);
  for (const char* part : {"rank 0 (", "rank 1 (", "different nodes", "TUTTI_TRANSPORTS=shm", "add tcp"}) {
    EXPECT_NE(result.err.find(part), std::string::npos) << part << ": " << result.err;
  }
}

// One host, which hwloc is told has two sockets: pinned ranks are placed on them, and what is planned across them is exact.
class Sockets : public ::testing::TestWithParam<const char*> {};

TEST_P(Sockets, AreExact) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  if (!CPU_ISSET(0, &allowed) || !CPU_ISSET(1, &allowed)) GTEST_SKIP() << "needs CPUs 0 and 1";
  const std::string file = ::testing::TempDir() + "tutti-sockets" + std::to_string(getpid()) + ".json";
  const std::string settings = "env HWLOC_SYNTHETIC='pack:2 [numa(memory=1GB)] core:1 pu:1' TUTTI_TOPO_DUMP=" + file + " ";
  const std::string pinned = R"(sh -c 'exec taskset -c $((TUTTI_RANK % 2)) "$@"' -- )";
  expect_exact(run(settings + TUTTI_RUN + " -n 4 -- " + pinned + kPerf + " --pin no " + arguments_of(GetParam())), 4, "shm");
  const Json graph = Json::parse(slurp(file), nullptr, false);
  unlink(file.c_str());
  ASSERT_TRUE(graph.is_object());
  std::set<std::string> islands;
  for (const Json& endpoint : graph["endpoints"]) islands.insert(endpoint.value("island", ""));
  EXPECT_EQ(islands, (std::set<std::string>{"memory0.0", "memory0.1"}));
}

class TcpOnly : public ::testing::TestWithParam<const char*> {};

TEST_P(TcpOnly, IsExact) {
  expect_exact(run(std::string("env TUTTI_TRANSPORTS=tcp ") + kPerf + " -n 3 " + arguments_of(GetParam())), 3, "tcp");
}

TEST(Nodes, AWrongInterfaceIsAnErrorThatListsThem) {
  const Result result = run(std::string("env TUTTI_SOCKET_IFNAME=nosuch ") + kPerf + " -n 2 all_reduce -b 8 -e 8");
  EXPECT_NE(result.status, 0);
  for (const char* part : {"TUTTI_SOCKET_IFNAME=nosuch", "lo (127.0.0.1"}) {
    EXPECT_NE(result.err.find(part), std::string::npos) << part << ": " << result.err;
  }
}

// Four hosts. One lab for all tests of a suite.
class Lab : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { made_ = geteuid() == 0 && std::system((lab() + "up 4 2>/dev/null").c_str()) == 0; }
  static void TearDownTestSuite() {
    if (!made_) return;
    EXPECT_EQ(std::system((lab() + "down").c_str()), 0);
  }
  void SetUp() override {
    if (!made_) GTEST_SKIP() << "network namespaces cannot be made here: that takes root, iproute2 and a kernel that lets root do it";
  }
  static std::string name() { return "tuttitest" + std::to_string(getpid()); }
  static std::string lab() { return "env TUTTI_LAB=" + name() + " " + kNetnsLab + " "; }
  static Result on_hosts(const std::string& settings, const std::string& arguments) {
    return run(lab() + "exec 0 env " + settings + " " + TUTTI_RUN + " -n 8 -- " + kNetnsLab + " by-rank 2 " + kPerf + " " + arguments);
  }

 private:
  static constexpr const char* kNetnsLab = NETNS_LAB;
  static inline bool made_ = false;
};

// Two ranks on each.
class Hosts : public Lab, public ::testing::WithParamInterface<const char*> {};

TEST_P(Hosts, AreExactWithNothingSet) {
  expect_exact(on_hosts("", arguments_of(GetParam())), 8, "shm+tcp");
}

// What rank 0 writes of the four: each host's memory, its interface at a veth's 10 Gbit/s, and the network that joins them.
TEST_F(Lab, TheGraphOfFourHosts) {
  const std::string file = ::testing::TempDir() + name() + ".json";
  expect_exact(on_hosts("TUTTI_TOPO_DUMP=" + file, arguments_of("all_reduce")), 8, "shm+tcp");
  const Json graph = Json::parse(slurp(file), nullptr, false);
  unlink(file.c_str());
  ASSERT_TRUE(graph.is_object());
  EXPECT_EQ(graph["source"], "detected");
  ASSERT_EQ(graph["endpoints"].size(), 8u);
  std::set<std::string> ways;
  for (const Json& link : graph["links"]) {
    const std::string from = link["from"], to = link["to"];
    ways.insert(from + " " + to);
    if (to == "network") {
      EXPECT_EQ(link["GBps"], 1.25) << link;
    }
  }
  for (int rank = 0; rank < 8; ++rank) {
    const std::string host = std::to_string(rank / 2), nic = "node" + host + "/eth0", memory = "memory" + host;
    EXPECT_EQ(graph["endpoints"][static_cast<size_t>(rank)]["node"], "node" + host);
    for (const std::string& way : {"rank" + std::to_string(rank) + " " + memory, memory + " " + nic, nic + " network"}) {
      EXPECT_EQ(ways.count(way), 1u) << way;
    }
  }
}

TEST_P(Hosts, AreExactOverTcpAlone) {
  expect_exact(on_hosts("TUTTI_TRANSPORTS=tcp", arguments_of(GetParam())), 8, "tcp");
}

// What torchrun sets on two hosts with two processes each; torchrun itself is not needed.
TEST_F(Lab, TorchrunsVariablesJoinTwoHosts) {
  const auto rank = [](const std::string& number, const std::string& local) {
    return "RANK=" + number + " LOCAL_RANK=" + local +
           " WORLD_SIZE=4 LOCAL_WORLD_SIZE=2 MASTER_ADDR=10.77.0.1 MASTER_PORT=29500 TUTTI_SECRET=open-sesame TUTTI_INIT_TIMEOUT=60 ";
  };
  const std::string perf = std::string(kPerf) + " " + arguments_of("all_reduce");
  const std::string others = lab() + "exec $((r / 2)) env " + rank("$r", "$((r % 2))") + perf + " >&2 & ";
  const Result result = run("bash -c 'for r in 3 2 1; do " + others + "done; \"$@\"; status=$?; wait; exit $status' -- " + lab() +
                            "exec 0 env " + rank("0", "0") + perf);
  expect_exact(result, 4, "shm+tcp");
}

// tutti-run starts ranks on other hosts through a remote shell: here one that enters namespaces.
TEST_F(Lab, TuttiRunOverHosts) {
  const std::string hosts = ::testing::TempDir() + name() + ".hosts";
  std::ofstream(hosts) << "localhost slots=2\n" << name() << "1 slots=1\n" << name() << "2 slots=2\n";
  const Result result = run(lab() + "exec 0 env TUTTI_RSH=" + NETNS_RSH + " " + TUTTI_RUN + " --hosts " + hosts + " -- " + kPerf + " " +
                            arguments_of("all_reduce"));
  unlink(hosts.c_str());
  expect_exact(result, 5, "shm+tcp");
}

std::string name_of(const ::testing::TestParamInfo<const char*>& instance) {
  return instance.param;
}

INSTANTIATE_TEST_SUITE_P(Each, MixedNodes, ::testing::ValuesIn(kCollectives), name_of);
INSTANTIATE_TEST_SUITE_P(Each, Sockets, ::testing::ValuesIn(kCollectives), name_of);
INSTANTIATE_TEST_SUITE_P(Each, TcpOnly, ::testing::ValuesIn(kCollectives), name_of);
INSTANTIATE_TEST_SUITE_P(Each, Hosts, ::testing::ValuesIn(kCollectives), name_of);

}  // namespace
