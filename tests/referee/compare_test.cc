// Our simulator against SimGrid: plans and machines go to the referee as JSON, and both times must agree within 5 %. Prints the table.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "plan/serialise.h"
#include "plan/simulator.h"
#include "tests/plan/plan_makers.h"
#include "tests/support/graphs.h"
#include "topology/graph_json.h"

namespace tutti {
namespace {

// A folder that goes with what is in it.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/tutti-referee-XXXXXX";
    if (mkdtemp(name) != nullptr) path_ = name;
  }
  ~Folder() {
    for (const std::string& file : files_) unlink(file.c_str());
    rmdir(path_.c_str());
  }
  std::string write(const std::string& name, const std::string& text) {
    files_.push_back(path_ + "/" + name);
    std::ofstream(files_.back()) << text;
    return files_.back();
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

// Nan where the referee fails; its reason is on stderr.
double refereed(const Plan& plan, const Graph& graph, uint64_t bytes, const SimulateOptions& options) {
  Folder folder;
  std::string command = std::string(TUTTI_REFEREE) + " --log=root.thresh:warning " + folder.write("plan.json", plan_to_json(plan)) + " " +
                        folder.write("machine.json", graph_to_json(graph)) + " --bytes " + std::to_string(bytes) + " --slice-bytes " +
                        std::to_string(options.slice_bytes) + " --depth " + std::to_string(options.fifo_depth) + " --injection " +
                        std::to_string(options.injection_us) + " --reduce " + std::to_string(options.reduce_bytes_per_us);
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return NAN;
  double time = NAN;
  if (std::fscanf(pipe, "%lf", &time) != 1) time = NAN;
  return pclose(pipe) == 0 ? time : NAN;
}

struct Machine {
  const char* name;
  Graph graph;
};

std::vector<Machine> machines() {
  return {{"switch of 8", switch_graph(8, 50, 2)},
          {"mesh of 8", mesh_graph(8, 64, 1.5)},
          {"ring of 8", torus_graph({8}, 50, 1)},
          {"torus 4x4", torus_graph({4, 4}, 50, 1)},
          {"torus 4x4x4", torus_graph({4, 4, 4}, 50, 1)},
          {"2 nodes of 8, NICs", nodes_graph(2, 8, 450, 50)},
          {"random, 8", random_graph(8, 3)},
          {"random, 13", random_graph(13, 5)},
          {"random, 16", random_graph(16, 11)}};
}

std::ostream& operator<<(std::ostream& out, const Machine& machine) {
  return out << machine.name;
}

struct Replayed {
  const char* algorithm;
  Collective collective;
  int channels;
  uint64_t bytes;  // of a block
  SimulateOptions options;
};

// Of a rank's messages that are ready at one moment, nothing says which goes first: runs of several strands are without injection.
std::vector<Replayed> runs() {
  const SimulateOptions none{.injection_us = 0};
  const SimulateOptions injected{.injection_us = 0.2};
  const SimulateOptions sliced{.slice_bytes = 65536, .fifo_depth = 2, .injection_us = 0, .reduce_bytes_per_us = 100000};
  return {{"ring", Collective::kAllReduce, 1, 64, injected},
          {"ring", Collective::kAllReduce, 2, 16 << 20, none},
          {"ring", Collective::kReduceScatter, 2, 1 << 20, sliced},
          {"one_shot", Collective::kAllReduce, 1, 64, injected},
          {"two_shot", Collective::kAllReduce, 1, 1 << 20, injected},
          {"two_shot", Collective::kAllReduce, 2, 16 << 20, none},
          {"binomial", Collective::kBroadcast, 1, 1 << 20, injected},
          {"chain", Collective::kBroadcast, 2, 4 << 20, sliced},
          {"double_binary_tree", Collective::kAllReduce, 2, 2 << 20, sliced},
          {"halving_doubling", Collective::kAllReduce, 1, 4 << 20, injected},
          {"circulant", Collective::kAllReduce, 1, 4 << 20, injected},
          {"pairwise", Collective::kAllToAll, 1, 1 << 20, injected}};
}

class Referee : public testing::TestWithParam<Machine> {};

TEST_P(Referee, AgreesWithin5Percent) {
  constexpr double kMost = 0.05;
  constexpr int kMany = 32;  // ranks, with which SimGrid takes minutes for what everybody sends to everybody
  const Machine& machine = GetParam();
  const int nranks = static_cast<int>(machine.graph.endpoints.size());
  Result<std::unique_ptr<const Topology>> topology = Topology::create(machine.graph);
  ASSERT_TRUE(topology.ok()) << topology.status().message();
  std::printf(
      "| machine | algorithm | channels | bytes | slices | ours, us | SimGrid, us | difference |\n|---|---|---|---|---|---|---|---|\n");
  int compared = 0;
  for (const Replayed& run : runs()) {
    const Algorithm& algorithm = *find_algorithm(run.algorithm);
    const PlanRequest request{.collective = run.collective, .nranks = nranks};
    if (algorithm.max_channels(request, *topology.value()) < run.channels) continue;
    const PlanChoice choice{.algorithm = run.algorithm, .channels = run.channels};
    const Plan plan = generate_plan(algorithm, request, choice, *topology.value());
    const size_t steps = plan.ranks[0].channels[0].size();
    if (nranks > kMany && steps > 40) continue;
    Result<Simulated> ours = simulate(plan, topology.value()->network(), run.bytes, run.options);
    ASSERT_TRUE(ours.ok()) << run.algorithm << ": " << ours.status().message();
    const double theirs = refereed(plan, machine.graph, run.bytes, run.options);
    const double difference = ours->time_us / theirs - 1;
    std::printf("| %s | %s %s | %d | %llu | %llu | %.3f | %.3f | %+.2f %% |\n", machine.name, run.algorithm,
                collective_name(run.collective), run.channels, static_cast<unsigned long long>(run.bytes),
                static_cast<unsigned long long>(ours->slices), ours->time_us, theirs, 100 * difference);
    EXPECT_FALSE(std::isnan(theirs)) << "the referee failed";
    EXPECT_LE(std::abs(difference), kMost) << run.algorithm;
    ++compared;
  }
  EXPECT_GE(compared, 4);
}

INSTANTIATE_TEST_SUITE_P(Machines, Referee, testing::ValuesIn(machines()), [](const testing::TestParamInfo<Machine>& test) {
  std::string name;
  for (const char* c = test.param.name; *c != 0; ++c) name += std::isalnum(static_cast<unsigned char>(*c)) != 0 ? *c : '_';
  return name;
});

}  // namespace
}  // namespace tutti
