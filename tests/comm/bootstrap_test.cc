// From an id to a membership: what every rank learns of every other, and what has to be equal.
#include "comm/bootstrap.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <future>

#include "base/host.h"
#include "tests/comm/raw_guest.h"

namespace tutti {
namespace {

Config default_config() {
  Config config;
  config.transports = "shm";
  return config;
}

// Every rank's result, rank r being configured by configure(r, ...).
std::vector<Result<Membership>> bootstrap_all(int nranks, const std::function<void(int rank, Config&)>& configure) {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok());
  std::vector<std::future<Result<Membership>>> ranks;
  for (int rank = 0; rank < nranks; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank] {
      Config config = default_config();
      configure(rank, config);
      const Bytes address(static_cast<size_t>(rank), std::byte{7});
      Member self = make_member(rank, config, address);
      self.vendor = "maker of " + config.device;
      return bootstrap(id.value(), {.rank = rank, .nranks = nranks}, self);
    }));
  }
  std::vector<Result<Membership>> results;
  for (auto& rank : ranks) results.push_back(rank.get());
  return results;
}

void expect_all_refused(const std::vector<Result<Membership>>& results, const std::vector<std::string>& fragments) {
  for (const auto& result : results) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), Code::kInvalidUsage);
    for (const std::string& fragment : fragments) {
      EXPECT_NE(result.status().message().find(fragment), std::string::npos) << fragment << " is not in: " << result.status().message();
    }
  }
}

TEST(Bootstrap, EveryRankLearnsWhoTheOthersAre) {
  for (const auto& result : bootstrap_all(3, [](int rank, Config&config) { config.device = rank == 1 ? "gpu" : "host"; })) {
    ASSERT_TRUE(result.ok()) << result.status().message();
    const std::vector<Member>& members = result.value().members;
    ASSERT_EQ(members.size(), 3u);
    for (int rank = 0; rank < 3; ++rank) {
      const Member& member = members[static_cast<size_t>(rank)];
      EXPECT_EQ(member.rank, rank);
      EXPECT_EQ(member.pid, static_cast<uint64_t>(getpid()));
      EXPECT_EQ(member.host, host_name());
      EXPECT_EQ(member.node, node_identity());
      EXPECT_EQ(member.device, rank == 1 ? "gpu" : "host");
      EXPECT_EQ(member.vendor, rank == 1 ? "maker of gpu" : "maker of host");
      EXPECT_EQ(describe(member).find("device gpu") != std::string::npos, rank == 1) << describe(member);
      EXPECT_EQ(member.transport, Bytes(static_cast<size_t>(rank), std::byte{7}));
      EXPECT_NE(describe(member).find("rank " + std::to_string(rank)), std::string::npos);
    }
    EXPECT_EQ(cores_suffice(result.value(), node_identity()), allowed_cores() >= 3);
  }
}

TEST(Bootstrap, EveryAgreedSettingHasToBeEqual) {
  const struct {
    const char* differs;
    std::function<void(Config&)> change;
  } kCases[] = {{"algorithm=ring", [](Config& c) { c.algorithm = "ring"; }},
                {"transports=tcp", [](Config& c) { c.transports = "tcp"; }},
                {"slot_bytes=8192", [](Config& c) { c.slot_bytes = 8192; }},
                {"slots=8", [](Config& c) { c.slots = 8; }}};
  for (const auto& each : kCases) {
    const auto results = bootstrap_all(3, [&](int rank, Config& config) {
      if (rank == 2) each.change(config);
    });
    expect_all_refused(results, {"rank 0 (", "rank 2 (", each.differs, "give all ranks the same"});
  }
}

TEST(Bootstrap, LocalSettingsMayDiffer) {
  const auto results = bootstrap_all(2, [](int rank, Config& config) {
    if (rank == 0) return;
    config.spin_us = 1;
    config.yield_us = 2;
    config.timeout_s = 3;
    config.warn_after_s = 4;
    config.explain = true;
  });
  for (const auto& result : results) EXPECT_TRUE(result.ok()) << result.status().message();
}

TEST(Bootstrap, RanksOfDifferentNodesAreRefusedWhereNoTransportLeadsThere) {
  const auto results = bootstrap_all(3, [](int rank, Config& config) { config.node_id = rank == 1 ? "there" : "here"; });
  expect_all_refused(results, {"rank 0 (", "rank 1 (", "different nodes", "TUTTI_NODE_ID", "add tcp"});
}

TEST(Bootstrap, RanksOfDifferentNodesMeetWhereATransportLeadsThere) {
  const auto results = bootstrap_all(3, [](int rank, Config& config) {
    config.node_id = rank == 1 ? "there" : "here";
    config.transports = "shm,tcp";
  });
  for (const auto& result : results) EXPECT_TRUE(result.ok()) << result.status().message();
}

TEST(Bootstrap, EqualNodeIdsMakeOneNode) {
  const auto results = bootstrap_all(2, [](int, Config& config) { config.node_id = "here"; });
  for (const auto& result : results) {
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(result.value().members[1].node, "here");
  }
}

TEST(Bootstrap, AMalformedMemberIsNamed) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  auto zero =
      std::async(std::launch::async, [&] { return bootstrap(id.value(), {.rank = 0, .nranks = 2}, make_member(0, default_config(), {})); });
  ASSERT_TRUE(join_table(id.value(), {.rank = 1, .nranks = 2}, Bytes(10, std::byte{1})).ok());
  const Result<Membership> result = zero.get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kRemote);
  EXPECT_NE(result.status().message().find("rank 1 brought malformed data"), std::string::npos) << result.status().message();
}

TEST(Bootstrap, ATimeoutOfTheRendezvousComesThrough) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  const Joining alone = {.rank = 0, .nranks = 2, .timeout_s = 0.05};
  const Result<Membership> result = bootstrap(id.value(), alone, make_member(0, default_config(), {}));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kTimeout);
}

TEST(Bootstrap, CoresAreTheUnionOfANodesMembers) {
  Membership membership;
  membership.members = {Member{.node = "here", .cpus = {0, 1}}, Member{.node = "here", .cpus = {1, 2}}, Member{.node = "here"}};
  EXPECT_TRUE(cores_suffice(membership, "here"));
  membership.members.push_back(Member{.node = "there", .cpus = {3}});
  EXPECT_TRUE(cores_suffice(membership, "here"));
  EXPECT_TRUE(cores_suffice(membership, "there"));
  membership.members.push_back(Member{.node = "here"});
  EXPECT_FALSE(cores_suffice(membership, "here"));
}

}  // namespace
}  // namespace tutti
