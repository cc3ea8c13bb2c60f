// Imported plans: read, proved, ranged, refused with the source, the reason and the remedy; and chosen before everything but what is
// forced.
#include "planner/imported_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "algorithms/algorithm.h"
#include "plan/semantics.h"
#include "plan/serialise.h"
#include "plan/verifier.h"
#include "planner/planner.h"

namespace tutti {
namespace {

constexpr int kRanks = 4;
const PlanRequest kAllReduce = {.collective = Collective::kAllReduce, .nranks = kRanks};

Plan plan_of(const char* algorithm, const PlanRequest& request, int channels = 1) {
  return generate_plan(*find_algorithm(algorithm), request, {.algorithm = algorithm, .channels = channels},
                       *single_host_topology(request.nranks));
}

std::shared_ptr<const ImportedPlan> imported(Plan plan, uint64_t min_bytes = 0, uint64_t max_bytes = Plan::kAnyBytes) {
  plan.min_bytes = min_bytes;
  plan.max_bytes = max_bytes;
  auto result = import_plan(plan_to_json(plan), "test");
  EXPECT_TRUE(result.ok()) << result.status().message();
  return *result;
}

std::string refusal(const Plan& plan) {
  const auto result = import_plan(plan_to_json(plan), "plan file a.json");
  EXPECT_FALSE(result.ok());
  if (result.ok()) return "";
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(result.status().message().starts_with("plan file a.json: ")) << result.status().message();
  return result.status().message();
}

std::unique_ptr<Planner> planner(int rank = 0, const std::string& forced = "") {
  return std::move(*Planner::create(single_host_topology(kRanks), rank, {.inline_bytes = 4096, .forced_algorithm = forced}));
}

class PlanFile {
 public:
  explicit PlanFile(const std::string& text)
      : path_(::testing::TempDir() + "/imported_plan_test." + std::to_string(getpid()) + "." + std::to_string(made_++)) {
    std::ofstream(path_) << text;
  }
  ~PlanFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  static inline int made_ = 0;
  std::string path_;
};

TEST(ImportedPlan, EveryAlgorithmsOwnPlanComesIn) {
  for (const Algorithm* algorithm : algorithms()) {
    for (const Collective collective : {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kBroadcast,
                                        Collective::kAllToAll, Collective::kBarrier}) {
      const PlanRequest request = {.collective = collective, .nranks = kRanks};
      const int most = algorithm->max_channels(request, *single_host_topology(kRanks));
      if (most == 0) continue;
      EXPECT_TRUE(imported(plan_of(algorithm->name, request))->serves(request, 12345)) << algorithm->name;
      // What else it can do is found out of the plan that it makes for that.
      PlanRequest ordered = request, uneven = request;
      ordered.rank_ordered = uneven.uneven = true;
      if (reduces(collective) && algorithm->max_channels(ordered, *single_host_topology(kRanks)) > 0) {
        EXPECT_TRUE(imported(plan_of(algorithm->name, ordered))->serves(ordered, 12345)) << algorithm->name;
      }
      if (has_uneven(collective) && algorithm->max_channels(uneven, *single_host_topology(kRanks)) > 0) {
        EXPECT_TRUE(imported(plan_of(algorithm->name, uneven))->serves(uneven, 12345)) << algorithm->name;
      }
    }
  }
}

TEST(ImportedPlan, IsChosenInItsRangeAlone) {
  const auto with_plan = planner(2), without = planner(2);
  with_plan->overrides().add(imported(plan_of("halving_doubling", kAllReduce), 10'000, 1 << 20));
  for (const size_t bytes : {size_t{0}, size_t{9'999}, size_t{(1 << 20) + 1}, size_t{1} << 40}) {
    EXPECT_TRUE(with_plan->choose(kAllReduce, bytes).value().same_plan(without->choose(kAllReduce, bytes).value())) << bytes;
    EXPECT_EQ(with_plan->program_for(kAllReduce, bytes).value()->choice.imported, -1);
  }
  for (const size_t bytes : {size_t{10'000}, size_t{65'536}, size_t{1} << 20}) {
    const PlanChoice choice = with_plan->choose(kAllReduce, bytes).value();
    EXPECT_EQ(choice.source, ChoiceSource::kPlan);
    EXPECT_EQ(choice.reason, "imported: test");
    const PlannedProgram* const planned = with_plan->program_for(kAllReduce, bytes).value();
    EXPECT_EQ(planned->program, plan_of("halving_doubling", kAllReduce).ranks[2]);
    EXPECT_EQ(with_plan->program_for(kAllReduce, bytes).value(), planned) << "kept";
  }
}

TEST(ImportedPlan, ServesItsCollectiveRanksAndRootAlone) {
  const PlanRequest broadcast = {.collective = Collective::kBroadcast, .nranks = kRanks, .root = 1};
  const auto plan = imported(plan_of("binomial", broadcast));
  EXPECT_TRUE(plan->serves(broadcast, 8));
  PlanRequest other = broadcast;
  other.root = 0;
  EXPECT_FALSE(plan->serves(other, 8));
  other = broadcast;
  other.nranks = 5;
  EXPECT_FALSE(plan->serves(other, 8));
  EXPECT_FALSE(plan->serves(kAllReduce, 8));
}

TEST(ImportedPlan, TheLaterOneGoesFirstAndAForcedAlgorithmBeforeAll) {
  const auto made = planner(), forced = planner(0, "ring");
  for (Planner* const each : {made.get(), forced.get()}) {
    each->overrides().add(imported(plan_of("two_shot", kAllReduce)));
    each->overrides().add(imported(plan_of("halving_doubling", kAllReduce), 0, 1000));
  }
  EXPECT_EQ(made->choose(kAllReduce, 1000).value().algorithm, "halving_doubling");
  EXPECT_EQ(made->choose(kAllReduce, 1001).value().algorithm, "two_shot");
  EXPECT_EQ(made->choose(kAllReduce, 1000).value().protocol, Protocol::kInline);
  EXPECT_EQ(forced->choose(kAllReduce, 1000).value().algorithm, "ring");
}

TEST(ImportedPlan, EachKindOfErrorIsRefusedWithItsSourceAndRemedy) {
  Plan wrong = plan_of("ring", kAllReduce);
  for (Instruction& each : wrong.ranks[1].channels[0]) each.completes = false;
  EXPECT_NE(refusal(wrong).find("symbolic: "), std::string::npos);
  wrong = plan_of("ring", kAllReduce);
  wrong.ranks[1].channels[0].pop_back();
  EXPECT_NE(refusal(wrong).find("structure: "), std::string::npos);
}

TEST(ImportedPlan, ThatIsWrongInPlaceIsRefused) {
  // Rank 0 writes the result, and sends its input after that: in place there is none any more.
  const char* const text = R"({"collective": "all_reduce", "algorithm": "mine", "nranks": 2, "root": 0,
    "largest_message": {"num": 1, "den": 1}, "ranks": [
    {"rank": 0, "scratch_blocks": 0, "channels": [[
      {"op": "recv_reduce_copy", "from": 1, "src": {"buffer": "input", "begin": 0, "end": 1, "den": 1},
       "dst": {"buffer": "output", "begin": 0, "end": 1, "den": 1}, "completes": true},
      {"op": "send", "to": 1, "src": {"buffer": "input", "begin": 0, "end": 1, "den": 1}}]]},
    {"rank": 1, "scratch_blocks": 0, "channels": [[
      {"op": "send", "to": 0, "src": {"buffer": "input", "begin": 0, "end": 1, "den": 1}},
      {"op": "recv_reduce_copy", "from": 0, "src": {"buffer": "input", "begin": 0, "end": 1, "den": 1},
       "dst": {"buffer": "output", "begin": 0, "end": 1, "den": 1}, "src_first": true, "completes": true}]]}]})";
  const Plan plan = plan_from_json(text).value();
  EXPECT_TRUE(verify(plan).ok()) << verify(plan).message();
  const std::string message = refusal(plan);
  EXPECT_NE(message.find("in place: "), std::string::npos) << message;
  EXPECT_NE(message.find("`tutti-plan verify --in-place`"), std::string::npos) << message;
}

TEST(ImportedPlan, XmlIsToldHowToComeIn) {
  const auto result = import_plan("  <algo name=\"x\"/>", "plan file x.xml");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("plan file x.xml: this is XML: "), std::string::npos);
  EXPECT_NE(result.status().message().find("tutti-plan convert FILE --to json"), std::string::npos);
}

TEST(ImportedPlan, ManyChannelsAreRefused) {
  Plan plan = plan_of("two_shot", kAllReduce);
  for (Program& program : plan.ranks) program.channels.insert(program.channels.begin(), 8, {});
  EXPECT_NE(refusal(plan).find("FIFO channel 8 between two ranks: there are 8"), std::string::npos) << refusal(plan);
}

TEST(ImportedPlan, RangesAreReadWrittenAndChecked) {
  Plan plan = plan_of("ring", kAllReduce);
  plan.min_bytes = 17;
  plan.max_bytes = 1 << 20;
  const std::string text = plan_to_json(plan);
  EXPECT_NE(text.find("\"min_bytes\": 17,"), std::string::npos);
  EXPECT_EQ(plan_from_json(text).value(), plan);
  plan.max_bytes = 16;
  EXPECT_NE(plan_from_json(plan_to_json(plan)).status().message().find("max_bytes is 16, less than min_bytes, 17"), std::string::npos);
  EXPECT_EQ(plan_to_json(plan_of("ring", kAllReduce)).find("_bytes"), std::string::npos) << "without a range there is none";
}

TEST(ImportedPlan, FilesComeInTheirOrderAndAreNamedInErrors) {
  const PlanFile one(plan_to_json(plan_of("ring", kAllReduce))), two(plan_to_json(plan_of("two_shot", kAllReduce))), wrong("{}"), empty("");
  const auto both = import_plan_files(one.path() + ":" + two.path());
  ASSERT_TRUE(both.ok()) << both.status().message();
  ASSERT_EQ(both.value().size(), 2u);
  EXPECT_EQ(both.value()[1]->header().algorithm, "two_shot");
  EXPECT_EQ(both.value()[1]->source, "plan file " + two.path());
  EXPECT_TRUE(import_plan_files("").value().empty());
  EXPECT_NE(hash_of(both.value()), hash_of(import_plan_files(two.path() + ":" + one.path()).value())) << "their order decides";
  EXPECT_EQ(hash_of(both.value()), hash_of(import_plan_files(one.path() + ":" + two.path()).value()));
  for (const std::string& path : {wrong.path(), empty.path(), std::string("/nonexistent.json"), std::string("/")}) {
    const auto refused = import_plan_files(one.path() + ":" + path);
    ASSERT_FALSE(refused.ok()) << path;
    EXPECT_NE(refused.status().message().find("plan file " + path + ": "), std::string::npos) << refused.status().message();
  }
}

TEST(Explain, SaysPredictionBoundAndSecond) {
  const auto made = planner();
  made->overrides().add(imported(plan_of("halving_doubling", kAllReduce), 1 << 20, 2 << 20));
  for (const size_t bytes : {size_t{8}, size_t{1} << 16, size_t{1} << 20, size_t{64} << 20}) {
    const PlanExplanation explained = made->explain(kAllReduce, bytes).value();
    ASSERT_TRUE(explained.predicted_us.has_value()) << bytes;
    EXPECT_GT(explained.bound.time_us, 0);
    EXPECT_FALSE(explained.bound.cut.empty());
    EXPECT_LE(*explained.percent_of_bound(), 100 + 1e-6);
    ASSERT_TRUE(explained.second.has_value());
    EXPECT_GT(explained.second->predicted_us, 0);
    const Bound whole = lower_bound(*single_host_topology(kRanks), Collective::kAllReduce, static_cast<double>(bytes));
    EXPECT_NEAR(explained.bound.time_us, whole.time_us, 1e-9 * whole.time_us);
    EXPECT_EQ(explained.bound.cut, whole.cut);
    EXPECT_EQ(explained.choice.source, bytes == 1 << 20 ? ChoiceSource::kPlan : ChoiceSource::kRule);
  }
  EXPECT_EQ(planner(0, "ring")->explain(kAllReduce, 8).value().choice.source, ChoiceSource::kForced);
  const PlanExplanation uneven = made->explain({.collective = Collective::kAllGather, .nranks = kRanks, .uneven = true}, 8).value();
  EXPECT_FALSE(uneven.predicted_us.has_value() || uneven.second.has_value());
}

}  // namespace
}  // namespace tutti
