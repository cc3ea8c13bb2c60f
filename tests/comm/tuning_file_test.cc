// TUTTI_TUNING_FILE at a communicator's start, and ranks that choose differently all the same: they say so, with both choices, instead of
// hanging.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>

#include "comm/communicator.h"
#include "comm/split.h"

namespace tutti {
namespace {

// A file that goes with the test.
class TuningFile {
 public:
  explicit TuningFile(const std::string& text)
      : path_(::testing::TempDir() + "/tuning_file_test." + std::to_string(getpid()) + "." + std::to_string(made_++)) {
    std::ofstream(path_) << text;
  }
  ~TuningFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  static inline int made_ = 0;
  std::string path_;
};

std::string all_reduce_by(const std::string& algorithm) {
  return "{\"version\": 1, \"choices\": [{\"collective\": \"all_reduce\", \"ranks\": 3, \"nodes\": 1, \"transport\": \"shm\", "
         "\"algorithm\": \"" +
         algorithm + "\", \"channels\": 1}]}";
}

using Body = std::function<Status(Communicator&)>;

// Each rank's end, with the settings set(config, rank); body on those that came up.
std::vector<Status> join_all(int nranks, const std::function<void(Config&, int)>& set, const Body& body) {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok());
  std::vector<std::future<Status>> ranks;
  for (int rank = 0; rank < nranks; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank] {
      Config config;
      config.transports = "shm";
      set(config, rank);
      auto comm = Communicator::join(id.value(), {.rank = rank, .nranks = nranks, .timeout_s = 20}, config);
      if (!comm.ok()) return comm.status();
      const Status status = body(**comm);
      if (Status left = (*comm)->finalize(); !left.ok() && status.ok()) return left;
      return status;
    }));
  }
  std::vector<Status> ends;
  for (auto& rank : ranks) ends.push_back(rank.get());
  return ends;
}

Request all_reduce(const std::vector<float>& in, std::vector<float>& out) {
  Request request = {.collective = Collective::kAllReduce, .count = in.size(), .input = in.data(), .output = out.data()};
  request.reduction.arithmetic.type = DataType::kFloat32;
  return request;
}

TEST(TuningFile, IsWhatTheRanksAndTheirChildrenChooseBy) {
  const TuningFile file(all_reduce_by("recursive_doubling"));
  const auto set = [&](Config& config, int) { config.tuning_file = file.path(); };
  const auto ends = join_all(3, set, [](Communicator& comm) -> Status {
    const auto algorithm_of = [](Communicator& of) -> std::string {
      std::vector<float> in(100, 1), out(100);
      const Request request = all_reduce(in, out);
      if (Status status = of.submit(request); !status.ok()) return status.message();
      EXPECT_EQ(out[99], static_cast<float>(of.nranks()));
      const Result<Explanation> explained = of.explain(request);
      return explained.ok() ? explained.value().plan.choice.algorithm : explained.status().message();
    };
    EXPECT_EQ(algorithm_of(comm), "recursive_doubling");
    Result<std::unique_ptr<Communicator>> child = split(comm, 0, -comm.rank(), comm.config());
    if (!child.ok()) return child.status();
    EXPECT_EQ(algorithm_of(**child), "recursive_doubling");
    return (*child)->finalize();
  });
  for (const Status& end : ends) EXPECT_TRUE(end.ok()) << end.message();
}

TEST(TuningFile, ThatDiffersOrIsWrongIsToldToAllRanks) {
  const TuningFile one(all_reduce_by("ring")), other(all_reduce_by("two_shot")), wrong(all_reduce_by("telepathy"));
  const auto nothing = [](Communicator&) { return Status(); };
  for (const std::string& second : {other.path(), std::string()}) {
    const auto set = [&](Config& config, int rank) { config.tuning_file = rank == 1 ? second : one.path(); };
    for (const Status& end : join_all(3, set, nothing)) {
      EXPECT_EQ(end.code(), Code::kInvalidUsage);
      EXPECT_NE(end.message().find("tuning_file=choices "), std::string::npos) << end.message();
    }
  }
  const auto set = [&](Config& config, int) { config.tuning_file = wrong.path(); };
  for (const Status& end : join_all(2, set, nothing)) {
    EXPECT_EQ(end.code(), Code::kInvalidArgument);
    EXPECT_NE(end.message().find("TUTTI_TUNING_FILE: tuning file " + wrong.path() + ":1: "), std::string::npos) << end.message();
  }
}

// Children that are forced to different algorithms behind split()'s back stand for ranks whose searches came out differently.
struct Odd {
  const char* usual;
  const char* odd;
  const char* usual_text;
  const char* odd_text;
  size_t count;
};

void expect_both_named(const Odd& odd, bool check) {
  SCOPED_TRACE(std::string(odd.usual) + " and " + odd.odd + (check ? ", TUTTI_CHECK" : ""));
  const auto set = [&](Config& config, int) {
    config.timeout_s = 60;  // not what ends it
    config.check = check;
  };
  const auto ends = join_all(3, set, [&](Communicator& comm) -> Status {
    Config config = comm.config();
    config.algorithm = comm.rank() == 1 ? odd.odd : odd.usual;
    Result<std::unique_ptr<Communicator>> child = Communicator::derive(comm, {0, 1, 2}, 77, config);
    if (!child.ok()) return child.status();
    // As split() does: no rank uses its own before all have theirs.
    std::byte nothing{};
    Request barrier = {.collective = Collective::kBarrier, .input = &nothing, .output = &nothing};
    if (Status status = comm.submit(barrier); !status.ok()) return status;
    if (Status status = (*child)->meet(); !status.ok()) return status;
    std::vector<float> in(odd.count, 1), out(odd.count);
    Status status;
    // Whoever needs nothing of the others may be through before anybody knows: then it hears in one of the next.
    while (status.ok()) status = (*child)->submit(all_reduce(in, out));
    EXPECT_EQ(status.code(), Code::kInvalidUsage) << status.message();
    for (const char* const part : {"chose different plans", odd.usual_text, odd.odd_text, "rank 1 ("}) {
      EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    }
    return {};
  });
  for (const Status& end : ends) EXPECT_TRUE(end.ok()) << end.message();
}

constexpr Odd kOdd[] = {
    {"one_shot", "two_shot", "one_shot, 1 channel, inline", "two_shot, 1 channel, inline", 16},
    {"ring:1", "ring:2", "ring, 1 channel, staged", "ring, 2 channels, staged", 100'000},
    {"ring", "recursive_doubling", "ring, 2 channels, staged", "recursive_doubling, ", 100'000},
};

TEST(DifferentChoices, AreBothNamed) {
  for (const Odd& odd : kOdd) expect_both_named(odd, false);
}

TEST(DifferentChoices, AreBothNamedBeforeAnythingMoves) {
  for (const Odd& odd : kOdd) expect_both_named(odd, true);
}

}  // namespace
}  // namespace tutti
