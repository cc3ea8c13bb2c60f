// TUTTI_TOPO_FILE at a communicator's start: the file's graph is what its ranks plan by, a wrong one is refused before any peer is
// troubled, and ranks with different graphs are told so.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>

#include "comm/communicator.h"
#include "comm/split.h"
#include "topology/graph_json.h"
#include "topology/systems.h"

namespace tutti {
namespace {

// A file that goes with the test.
class TopoFile {
 public:
  TopoFile(const std::string& name, const std::string& text)
      : path_(::testing::TempDir() + "/topo_file_test." + std::to_string(getpid()) + "." + name) {
    std::ofstream(path_) << text;
  }
  ~TopoFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

using Body = std::function<Status(Communicator&)>;

// Each rank's end, rank r by the file files[r]; body on those that came up.
std::vector<Status> join_all(const std::vector<std::string>& files, const Body& body) {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok());
  const auto nranks = static_cast<int>(files.size());
  std::vector<std::future<Status>> ranks;
  for (int rank = 0; rank < nranks; ++rank) {
    ranks.push_back(std::async(std::launch::async, [&, rank] {
      Config config;
      config.transports = "shm";
      config.topo_file = files[static_cast<size_t>(rank)];
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

Status nothing(Communicator&) {
  return {};
}

TEST(TopoFile, IsWhatTheRanksPlanBy) {
  const Graph graph = *named_system("tpu-v5e:2x2");
  const TopoFile file("good", graph_to_json(graph));
  const auto ends = join_all({file.path(), file.path(), file.path(), file.path()}, [&](Communicator& comm) -> Status {
    EXPECT_TRUE(comm.topology_of({0, 1, 2, 3}) == graph);
    // Rank 3 becomes 0 of the half that it shares with rank 1.
    Result<std::unique_ptr<Communicator>> half = split(comm, comm.rank() % 2, -comm.rank(), comm.config());
    if (!half.ok()) return half.status();
    const std::optional<Graph> part = (*half)->topology_of({0, 1});
    EXPECT_TRUE(part.has_value());
    if (!part) return {};
    const int odd = comm.rank() % 2;
    EXPECT_EQ(part->endpoints[static_cast<size_t>(2 + odd)].rank, 0);
    EXPECT_EQ(part->endpoints[static_cast<size_t>(odd)].rank, 1);
    EXPECT_EQ(part->endpoints[static_cast<size_t>(1 - odd)].rank, -1);
    EXPECT_TRUE(part->axes.empty());
    return (*half)->finalize();
  });
  for (const Status& end : ends) EXPECT_TRUE(end.ok()) << end.message();
}

TEST(TopoFile, OfAnotherNumberOfRanksIsRefusedByName) {
  const TopoFile file("eight", graph_to_json(*named_system("mi300x")));
  for (const Status& end : join_all({file.path(), file.path()}, nothing)) {
    EXPECT_EQ(end.code(), Code::kInvalidArgument);
    EXPECT_NE(end.message().find(file.path() + " has endpoints for 8 ranks, but the communicator has 2"), std::string::npos)
        << end.message();
  }
}

TEST(TopoFile, ThatIsWrongOrMissingIsRefusedByName) {
  const TopoFile file("wrong", "{\n\"endpoints\": [7],\n\"links\": []}");
  for (const Status& end : join_all({file.path(), "/nonexistent.json"}, nothing)) {
    EXPECT_NE(end.message().find("TUTTI_TOPO_FILE: "), std::string::npos) << end.message();
  }
  EXPECT_NE(join_all({file.path()}, nothing)[0].message().find(file.path() + ":2: endpoints[0] must be an object"), std::string::npos);
}

TEST(TopoFile, DifferentGraphsAreToldToAllRanks) {
  const TopoFile one("one", graph_to_json(*named_system("ethernet:2"))),
      other("other", graph_to_json(*named_system("ethernet:2,GBps=3.1")));
  for (const auto& files : {std::vector<std::string>{one.path(), other.path()}, {one.path(), ""}}) {
    for (const Status& end : join_all(files, nothing)) {
      EXPECT_EQ(end.code(), Code::kInvalidUsage);
      EXPECT_NE(end.message().find("topo_file=graph "), std::string::npos) << end.message();
    }
  }
}

}  // namespace
}  // namespace tutti
