// The algorithms for a torus, run by the interpreter over heap FIFOs: right results on small tori and meshes, for every collective that
// they do, each parameter that changes the plan, element counts around the slots' sizes, in place and out of place, in whatever order the
// ranks are stepped.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "algorithms/algorithm.h"
#include "plan/semantics.h"
#include "tests/executor/machine.h"
#include "tests/support/torus_graph.h"

namespace tutti {
namespace {

constexpr float kNobodysValue = -7.5f;

// Whole numbers, whose sums float32 holds exactly, in whatever order.
float value(size_t rank, size_t block, size_t i, size_t round) {
  return static_cast<float>(static_cast<int>((rank * 131 + block * 37 + i * 7 + round * 29) % 2003) - 1001);
}

// What one rank's caller holds: its input, then its output, or both in one place.
class Buffers {
 public:
  Buffers(const PlanRequest& request, int rank, size_t count, bool in_place, size_t round)
      : request_(request),
        rank_(rank),
        count_(count),
        inputs_(input_blocks(request.collective, request.nranks, request.root, rank)),
        outputs_(output_blocks(request.collective, request.nranks, request.root, rank)),
        layout_(in_place ? in_place_layout(request.collective, request.root, rank) : InPlaceLayout{.input_at = 0, .output_at = inputs_}) {
    memory_.assign((static_cast<size_t>(inputs_) + outputs_ + static_cast<size_t>(request.nranks) + 1) * count + 1, kNobodysValue);
    for (size_t block = 0; block < inputs_; ++block) {
      for (size_t i = 0; i < count; ++i)
        memory_[(layout_.input_at + block) * count + i] = value(static_cast<size_t>(rank), block, i, round);
    }
  }

  Operands operands() {
    return {.input = memory_.data() + layout_.input_at * count_,
            .output = memory_.data() + layout_.output_at * count_,
            .count = count_,
            .signature = 0x1234};
  }

  void expect_right(size_t round) const {
    for (uint32_t block = 0; block < outputs_; ++block) {
      const Expected expected = expected_output(request_.collective, request_.root, rank_, block);
      if (expected.kind == Expected::Kind::kAnything) continue;
      for (size_t i = 0; i < count_; ++i) {
        float right = 0;
        if (expected.kind == Expected::Kind::kCopy) {
          right = value(static_cast<size_t>(expected.from), expected.input_block, i, round);
        } else {
          for (int from = 0; from < request_.nranks; ++from) right += value(static_cast<size_t>(from), expected.input_block, i, round);
        }
        ASSERT_EQ(memory_[(layout_.output_at + block) * count_ + i], right) << "rank " << rank_ << ", block " << block << ", element " << i;
      }
    }
    ASSERT_EQ(memory_.back(), kNobodysValue);
  }

 private:
  const PlanRequest request_;
  const int rank_;
  const size_t count_;
  const uint32_t inputs_, outputs_;
  const InPlaceLayout layout_;
  std::vector<float> memory_;
};

void expect_right(const Plan& plan, const PlanRequest& request, Protocol protocol) {
  Machine machine(plan, protocol);
  std::mt19937 random(3);
  size_t round = 0;
  for (const size_t count : {1, 0, 3, 50, 251, 1009, 1}) {
    for (const bool in_place : {false, true}) {
      if (in_place && !has_in_place(request.collective)) continue;
      ++round;
      SCOPED_TRACE(std::to_string(count) + (in_place ? " in place" : ""));
      std::vector<Buffers> buffers;
      for (int rank = 0; rank < request.nranks; ++rank) buffers.emplace_back(request, rank, count, in_place, round);
      for (size_t rank = 0; rank < buffers.size(); ++rank) machine.start(rank, buffers[rank].operands());
      machine.run_at_random(random);
      if (testing::Test::HasFatalFailure()) return;
      for (const Buffers& each : buffers) ASSERT_NO_FATAL_FAILURE(each.expect_right(round));
    }
  }
}

class TorusAlgorithms : public testing::TestWithParam<std::vector<Axis>> {};

TEST_P(TorusAlgorithms, AreRightInWhateverOrderRanksAreStepped) {
  const auto topology = torus_topology(GetParam());
  const auto host = single_host_topology(topology->nranks());
  std::set<std::string> ran;
  for (const Algorithm* algorithm : algorithms()) {
    for (int i = 0; i + 1 < kCollectives; ++i) {
      PlanRequest request{.collective = static_cast<Collective>(i), .nranks = topology->nranks()};
      if (has_root(request.collective)) request.root = request.nranks - 1;
      const int most = algorithm->max_channels(request, *topology);
      if (most == 0 || algorithm->max_channels(request, *host) > 0) continue;
      Plan known;
      for (const int parameter : {0, 1}) {
        const PlanChoice choice{.algorithm = algorithm->name, .channels = most, .parameter = parameter};
        Plan plan = generate_plan(*algorithm, request, choice, *topology);
        if (plan == known) continue;
        SCOPED_TRACE(std::string(algorithm->name) + " " + collective_name(request.collective) + ", parameter " + std::to_string(parameter));
        for (const Protocol protocol : {Protocol::kInline, Protocol::kStaged}) {
          ASSERT_NO_FATAL_FAILURE(expect_right(plan, request, protocol));
        }
        ran.insert(algorithm->name);
        known = std::move(plan);
      }
    }
  }
  EXPECT_GE(ran.size(), 4u);
}

INSTANTIATE_TEST_SUITE_P(Shapes, TorusAlgorithms,
                         testing::Values(std::vector<Axis>{{2, false}, {2, false}}, std::vector<Axis>{{2, false}, {3, true}},
                                         std::vector<Axis>{{4, true}, {4, true}}, std::vector<Axis>{{4, false}, {4, false}},
                                         std::vector<Axis>{{3, false}, {4, true}}, std::vector<Axis>{{2, true}, {2, true}, {4, true}}),
                         [](const auto& instance) { return torus_name(instance.param); });

// Where there is no torus, none is offered.
TEST(Host, HasNoTorusAlgorithms) {
  for (const char* name : {"swing", "torus_alltoall", "torus_broadcast", "torus_bucket", "torus_exchange"}) {
    for (int i = 0; i < kCollectives; ++i) {
      for (const int nranks : {1, 2, 4, 16}) {
        const PlanRequest request{.collective = static_cast<Collective>(i), .nranks = nranks};
        EXPECT_EQ(find_algorithm(name)->max_channels(request, *single_host_topology(nranks)), 0) << name;
      }
    }
  }
}

}  // namespace
}  // namespace tutti
