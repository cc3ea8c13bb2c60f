// Plans of one's own and a tuner's choices at communicators of several ranks: agreed before they run, right when they run, told by name
// where they are wrong, and never a reason to hang.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>

#include "algorithms/algorithm.h"
#include "comm/batch.h"
#include "comm/communicator.h"
#include "comm/register_plan.h"
#include "comm/split.h"
#include "plan/serialise.h"

namespace tutti {
namespace {

std::string plan_text(const char* algorithm, int nranks, uint64_t min_bytes = 0) {
  const PlanRequest request = {.collective = Collective::kAllReduce, .nranks = nranks};
  Plan plan = generate_plan(*find_algorithm(algorithm), request, {.algorithm = algorithm}, *single_host_topology(nranks));
  plan.min_bytes = min_bytes;
  return plan_to_json(plan);
}

class PlanFile {
 public:
  PlanFile(const std::string& name, const std::string& text)
      : path_(::testing::TempDir() + "/plans_test." + std::to_string(getpid()) + "." + name) {
    std::ofstream(path_) << text;
  }
  ~PlanFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Set before the ranks' threads begin, and changed after they have ended.
class Mode {
 public:
  explicit Mode(const char* mode) { setenv("TUTTI_TEST_TUNER", mode, 1); }
  ~Mode() { unsetenv("TUTTI_TEST_TUNER"); }
};

using Body = std::function<Status(Communicator&)>;

// Each rank's end, by configs[rank]; body on those that came up.
std::vector<Status> run_ranks(const std::vector<Config>& configs, const Body& body) {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok());
  const auto nranks = static_cast<int>(configs.size());
  std::vector<std::future<Status>> ranks;
  for (int rank = 0; rank < nranks; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank]() -> Status {
      const Config& config = configs[static_cast<size_t>(rank)];
      auto comm = Communicator::join(id.value(), {.rank = rank, .nranks = nranks, .timeout_s = 20}, config);
      if (!comm.ok()) return comm.status();
      const Status status = body(**comm);
      if (Status left = (*comm)->finalize(); !left.ok()) return left;
      return status;
    }));
  }
  std::vector<Status> ends;
  for (auto& rank : ranks) ends.push_back(rank.get());
  return ends;
}

std::vector<Config> configs(int nranks, const std::function<void(int, Config&)>& set = {}) {
  std::vector<Config> all(static_cast<size_t>(nranks));
  for (int rank = 0; rank < nranks; ++rank) {
    Config& config = all[static_cast<size_t>(rank)];
    config.transports = "shm";
    config.timeout_s = 60;
    if (set) set(rank, config);
  }
  return all;
}

Request all_reduce_of(std::vector<float>& data) {
  Request request = {.collective = Collective::kAllReduce, .count = data.size(), .input = data.data(), .output = data.data()};
  request.reduction.arithmetic = {.type = DataType::kFloat32, .op = Reduction::kSum};
  return request;
}

// An all-reduce whose result is looked at.
Status all_reduce(Communicator& comm, size_t count) {
  std::vector<float> data(count);
  for (size_t i = 0; i < count; ++i) data[i] = static_cast<float>(comm.rank() + static_cast<int>(i % 100));
  if (Status status = comm.submit(all_reduce_of(data)); !status.ok()) return status;
  const int n = comm.nranks();
  for (size_t i = 0; i < count; ++i) EXPECT_EQ(data[i], static_cast<float>(n * (n - 1) / 2 + n * static_cast<int>(i % 100)));
  return {};
}

PlanChoice chosen(Communicator& comm, size_t count) {
  std::vector<float> data(count);
  const auto explained = comm.explain(all_reduce_of(data));
  EXPECT_TRUE(explained.ok()) << explained.status().message();
  return explained.ok() ? explained.value().plan.choice : PlanChoice();
}

void expect_all_ok(const std::vector<Status>& ends) {
  for (const Status& end : ends) EXPECT_TRUE(end.ok()) << end.message();
}

constexpr size_t kSmall = 10, kMany = 100'000;

TEST(PlanFiles, RunInTheirSizesAlsoInSplitCommunicators) {
  const PlanFile three("three", plan_text("halving_doubling", 3, 1000)), two("two", plan_text("one_shot", 2));
  const auto ends = run_ranks(configs(3, [&](int, Config& config) { config.plan_file = three.path() + ":" + two.path(); }),
                              [&](Communicator& comm) -> Status {
                                EXPECT_EQ(chosen(comm, kMany).source, ChoiceSource::kPlan);
                                EXPECT_EQ(chosen(comm, kMany).reason, "imported: plan file " + three.path());
                                EXPECT_EQ(chosen(comm, kSmall).source, ChoiceSource::kRule);
                                for (const size_t count : {kSmall, kMany}) {
                                  if (Status status = all_reduce(comm, count); !status.ok()) return status;
                                }
                                Result<std::unique_ptr<Communicator>> half = split(comm, comm.rank() / 2, 0, comm.config());
                                if (!half.ok()) return half.status();
                                const bool pair = (*half)->nranks() == 2;
                                EXPECT_EQ(chosen(**half, kMany).source, pair ? ChoiceSource::kPlan : ChoiceSource::kRule);
                                if (Status status = all_reduce(**half, kMany); !status.ok()) return status;
                                return (*half)->finalize();
                              });
  expect_all_ok(ends);
}

TEST(PlanFiles, DifferentOnesAreToldToAllRanks) {
  const PlanFile one("one", plan_text("ring", 2)), other("other", plan_text("ring", 2, 8));
  const auto ends = run_ranks(configs(2, [&](int rank, Config& config) { config.plan_file = rank == 0 ? one.path() : other.path(); }),
                              [](Communicator&) -> Status { return {}; });
  for (const Status& end : ends) {
    EXPECT_EQ(end.code(), Code::kInvalidUsage);
    EXPECT_NE(end.message().find("has plan_file=1 plan, hash "), std::string::npos) << end.message();
  }
}

TEST(PlanFiles, AWrongOneIsRefusedByName) {
  const PlanFile wrong("wrong", "{\"collective\": 7}");
  const auto ends =
      run_ranks(configs(2, [&](int, Config& config) { config.plan_file = wrong.path(); }), [](Communicator&) -> Status { return {}; });
  for (const Status& end : ends) {
    EXPECT_EQ(end.code(), Code::kInvalidArgument);
    EXPECT_TRUE(end.message().starts_with("TUTTI_PLAN_FILE: plan file " + wrong.path() + ": plan JSON: ")) << end.message();
  }
}

TEST(RegisterPlan, ReplacesWhatRanBefore) {
  expect_all_ok(run_ranks(configs(3), [](Communicator& comm) -> Status {
    if (Status status = all_reduce(comm, kMany); !status.ok()) return status;
    EXPECT_EQ(chosen(comm, kMany).source, ChoiceSource::kRule);
    if (Status status = register_plan(comm, plan_text("halving_doubling", 3), 0, 0); !status.ok()) return status;
    EXPECT_EQ(chosen(comm, kMany).algorithm, "halving_doubling");
    if (Status status = all_reduce(comm, kMany); !status.ok()) return status;
    if (Status status = register_plan(comm, plan_text("one_shot", 3), 8, 4096); !status.ok()) return status;
    EXPECT_EQ(chosen(comm, kSmall).algorithm, "one_shot");
    EXPECT_EQ(chosen(comm, kMany).algorithm, "halving_doubling");
    return all_reduce(comm, kSmall);
  }));
}

TEST(RegisterPlan, OneRanksMistakeIsAllRanksError) {
  const auto ends = run_ranks(configs(3), [](Communicator& comm) -> Status {
    const bool last = comm.rank() == 2;
    const std::string right = plan_text("ring", 3), other = plan_text("two_shot", 3), few = plan_text("ring", 2);
    const std::tuple<std::optional<std::string_view>, const char*> mistakes[] = {{std::nullopt, "json is NULL"},
                                                                                 {"{", "plan JSON: not JSON"},
                                                                                 {few, "is for 2 ranks, but the communicator has 3"},
                                                                                 {other, "ranks registered different plans"}};
    for (const auto& [json, part] : mistakes) {
      const Status status = register_plan(comm, last ? json : std::optional<std::string_view>(right), 0, 0);
      EXPECT_FALSE(status.ok());
      EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
      EXPECT_NE(status.message().find("rank 2 (host "), std::string::npos) << status.message();
    }
    EXPECT_EQ(chosen(comm, kMany).source, ChoiceSource::kRule) << "nothing has changed";
    return all_reduce(comm, kMany);
  });
  expect_all_ok(ends);
}

// Rank 0's tuner answers differently each time it is asked; the ranks' plans are the same all the same.
TEST(TunerAmongRanks, IsAskedByRank0ForAll) {
  const Mode with("fickle");
  const auto ends =
      run_ranks(configs(4, [](int rank, Config& config) { config.tuner = rank == 0 ? TEST_TUNER : "/only/rank/0/loads/one"; }),
                [](Communicator& comm) -> Status {
                  for (size_t count = 1; count < kMany; count *= 3) {
                    if (Status status = all_reduce(comm, count); !status.ok()) return status;
                  }
                  Result<std::unique_ptr<Communicator>> half = split(comm, 0, comm.rank(), comm.config());
                  if (!half.ok()) return half.status();
                  if (Status status = all_reduce(**half, kMany); !status.ok()) return status;
                  EXPECT_NE(chosen(**half, kMany).reason.find("tuner plug-in 'misbehaving'"), std::string::npos);
                  return (*half)->finalize();
                });
  expect_all_ok(ends);
}

// One thread drives all ranks, so none of them may stand still for another's word.
TEST(TunerAmongRanks, OneThreadMayDriveAllRanks) {
  const Mode with("prefer_halving");
  std::vector<std::unique_ptr<Communicator>> comms(3);
  const Result<RendezvousId> id = open_rendezvous();
  const std::vector<Config> all = configs(3, [](int, Config& config) { config.tuner = TEST_TUNER; });
  std::vector<std::future<void>> joining;
  for (int rank = 0; rank < 3; ++rank) {
    joining.push_back(std::async(std::launch::async, [&, rank] {
      auto comm = Communicator::join(id.value(), {.rank = rank, .nranks = 3, .timeout_s = 20}, all[static_cast<size_t>(rank)]);
      if (comm.ok()) comms[static_cast<size_t>(rank)] = std::move(*comm);
    }));
  }
  for (auto& each : joining) each.get();
  std::vector<std::vector<float>> data(3, std::vector<float>(kMany, 1.0F));
  Batch batch;
  for (int rank = 2; rank >= 0; --rank) {  // rank 0 the last
    ASSERT_NE(comms[static_cast<size_t>(rank)], nullptr);
    batch.add(*comms[static_cast<size_t>(rank)], all_reduce_of(data[static_cast<size_t>(rank)]));
  }
  batch.take_turns();
  const Status status = batch.run();
  EXPECT_TRUE(status.ok()) << status.message();
  for (const auto& each : data) EXPECT_EQ(each[kMany - 1], 3.0F);
  EXPECT_EQ(chosen(*comms[2], kMany).algorithm, "halving_doubling");
  for (const auto& comm : comms) EXPECT_TRUE(comm->finalize().ok());
}

TEST(TunerAmongRanks, ThatCannotBeLoadedIsDoneWithout) {
  for (const char* mode : {"init_fails", "version"}) {
    const Mode with(mode);
    expect_all_ok(run_ranks(configs(3, [](int, Config& config) { config.tuner = TEST_TUNER; }), [](Communicator& comm) -> Status {
      if (Status status = all_reduce(comm, kMany); !status.ok()) return status;
      EXPECT_EQ(chosen(comm, kMany).source, ChoiceSource::kRule);
      return {};
    }));
  }
}

TEST(TunerAmongRanks, NonsenseIsToldToAllRanksByName) {
  const Mode with("unknown");
  const auto ends = run_ranks(configs(3, [](int, Config& config) { config.tuner = TEST_TUNER; }),
                              [](Communicator& comm) { return all_reduce(comm, kMany); });
  for (const Status& end : ends) {
    EXPECT_NE(end.message().find("tuner plug-in 'misbehaving'"), std::string::npos) << end.message();
    EXPECT_NE(end.message().find("there is no algorithm of that name"), std::string::npos) << end.message();
  }
}

TEST(TunerAmongRanks, ThatOnlySomeHaveIsToldToAllRanks) {
  const Mode with("leave");
  const auto ends = run_ranks(configs(2, [](int rank, Config& config) { config.tuner = rank == 0 ? TEST_TUNER : ""; }),
                              [](Communicator&) -> Status { return {}; });
  for (const Status& end : ends) {
    EXPECT_EQ(end.code(), Code::kInvalidUsage);
    EXPECT_NE(end.message().find("tuner="), std::string::npos) << end.message();
  }
}

// A rank that waits for rank 0's choice hears who never came, who left, and who called something else.
TEST(TunerAmongRanks, WaitingForRank0IsBounded) {
  const Mode with("leave");
  const auto late = run_ranks(configs(2, [](int, Config& config) { config.tuner = TEST_TUNER, config.timeout_s = 0.3; }),
                              [](Communicator& comm) -> Status {
                                if (comm.rank() != 0) return all_reduce(comm, kMany);
                                for (int i = 0; i < 1000 && comm.async_error() == Code::kOk; ++i) usleep(10'000);
                                return {};
                              });
  EXPECT_NE(late[1].message().find("which never came to this call"), std::string::npos) << late[1].message();
  EXPECT_NE(late[1].message().find("the choice of rank 0's tuner"), std::string::npos) << late[1].message();

  const auto left = run_ranks(configs(2, [](int, Config& config) { config.tuner = TEST_TUNER; }),
                              [](Communicator& comm) -> Status { return comm.rank() == 0 ? Status() : all_reduce(comm, kMany); });
  EXPECT_NE(left[1].message().find("left the communicator"), std::string::npos) << left[1].message();

  const auto other = run_ranks(configs(2, [](int, Config& config) { config.tuner = TEST_TUNER; }),
                               [](Communicator& comm) { return all_reduce(comm, comm.rank() == 0 ? kMany : kSmall); });
  for (const Status& end : other) EXPECT_NE(end.message().find("ranks made different calls"), std::string::npos) << end.message();
}

}  // namespace
}  // namespace tutti
