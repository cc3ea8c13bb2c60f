// A tuner at the planner: what it may change is changed, what it may not is refused by a sentence that names it, and a plug-in that cannot
// be used is said to be so.
#include <gtest/gtest.h>

#include <cstdlib>

#include "algorithms/algorithm.h"
#include "planner/planner.h"

namespace tutti {
namespace {

constexpr size_t kLarge = 4 << 20;
constexpr int kRanks = 8;

const tuttiTunerJob_t kJob = {.size = sizeof kJob, .nranks = kRanks, .nnodes = 1, .transport = "shm", .machine = "", .log = nullptr};

// The mode of the test's plug-in, for the object's life.
class Mode {
 public:
  explicit Mode(const char* mode) { setenv("TUTTI_TEST_TUNER", mode, 1); }
  ~Mode() { unsetenv("TUTTI_TEST_TUNER"); }
};

std::unique_ptr<Planner> plain() {
  return std::move(*Planner::create(single_host_topology(kRanks), 0, {.inline_bytes = 4096}));
}

std::unique_ptr<Planner> tuned() {
  Result<std::unique_ptr<Tuner>> tuner = Tuner::load(TEST_TUNER, kJob);
  EXPECT_TRUE(tuner.ok()) << tuner.status().message();
  std::unique_ptr<Planner> planner = plain();
  planner->overrides().use_tuner(std::move(*tuner));
  return planner;
}

const PlanRequest kAllReduce = {.collective = Collective::kAllReduce, .nranks = kRanks};

std::string refusal(const char* mode) {
  const Mode with(mode);
  const auto choice = tuned()->choose(kAllReduce, kLarge);
  EXPECT_FALSE(choice.ok()) << mode << ": " << choice.value().algorithm;
  if (choice.ok()) return "";
  EXPECT_EQ(choice.status().code(), Code::kInvalidUsage);
  EXPECT_NE(choice.status().message().find("tuner plug-in 'misbehaving' (" TEST_TUNER ")"), std::string::npos) << choice.status().message();
  return choice.status().message();
}

std::string load_failure(const std::string& name) {
  const auto tuner = Tuner::load(name, kJob);
  EXPECT_FALSE(tuner.ok()) << name;
  return tuner.ok() ? "" : tuner.status().message();
}

TEST(Tuner, ThatLeavesItsTableChangesNothing) {
  const Mode with("leave");
  const auto with_tuner = tuned(), without = plain();
  for (const Collective collective : {Collective::kAllReduce, Collective::kAllGather, Collective::kBroadcast, Collective::kAllToAll}) {
    for (const size_t bytes : {size_t{0}, size_t{8}, size_t{4096}, size_t{1} << 16, kLarge}) {
      const PlanRequest request = {.collective = collective, .nranks = kRanks};
      const PlanChoice left = with_tuner->choose(request, bytes).value(), planned = without->choose(request, bytes).value();
      EXPECT_TRUE(left.same_plan(planned)) << collective_name(collective) << " " << bytes << ": " << left.algorithm;
      EXPECT_EQ(left.source, planned.source);
    }
  }
}

TEST(Tuner, ThatDeclinesChangesNothing) {
  const Mode with("decline");
  EXPECT_TRUE(tuned()->choose(kAllReduce, kLarge).value().same_plan(plain()->choose(kAllReduce, kLarge).value()));
}

TEST(Tuner, PrefersForbidsAndPrices) {
  const PlanChoice planned = plain()->choose(kAllReduce, kLarge).value();
  {
    const Mode with("prefer_halving");
    const PlanChoice choice = tuned()->choose(kAllReduce, kLarge).value();
    EXPECT_EQ(choice.algorithm, "halving_doubling");
    EXPECT_EQ(choice.source, ChoiceSource::kTuner);
    EXPECT_NE(choice.reason.find("in place of " + planned.algorithm), std::string::npos) << choice.reason;
  }
  for (const char* mode : {"forbid_first", "dear"}) {
    const Mode with(mode);
    EXPECT_FALSE(tuned()->choose(kAllReduce, kLarge).value().same_plan(planned)) << mode;
  }
}

TEST(Tuner, MayAddAChoiceOfItsOwn) {
  const Mode with("add");
  const auto planner = tuned();
  const PlanChoice choice = planner->choose(kAllReduce, kLarge).value();
  EXPECT_EQ(choice.algorithm, "ring");
  EXPECT_EQ(choice.channels, 3);
  EXPECT_EQ(choice.slice_bytes, 4096u);
  EXPECT_NE(choice.reason.find("three rings"), std::string::npos) << choice.reason;
  const PlannedProgram* const planned = planner->program_for(kAllReduce, kLarge).value();
  ASSERT_NE(planned, nullptr);
  EXPECT_EQ(planned->program.channels.size(), 3u);
}

// Once for all sizes between two powers of two, and for each size of element.
TEST(Tuner, IsAskedOnceForSizesAlike) {
  const Mode with("fickle");
  const auto planner = tuned();
  const PlanChoice first = planner->choose(kAllReduce, kLarge).value();
  for (const size_t bytes : {kLarge, kLarge - 4, kLarge / 2 + 1}) EXPECT_TRUE(planner->choose(kAllReduce, bytes).value().same_plan(first));
  EXPECT_FALSE(planner->choose(kAllReduce, kLarge + 1).value().same_plan(first));
  EXPECT_EQ(planner->overrides().take_decisions().size(), 2u);
  EXPECT_TRUE(planner->overrides().take_decisions().empty());
  static_cast<void>(planner->choose(kAllReduce, kLarge, 8));
  EXPECT_EQ(planner->overrides().take_decisions().size(), 1u);
}

TEST(Tuner, OtherRanksWaitForRank0sWord) {
  const auto planner = plain();
  planner->overrides().expect_tuner();
  EXPECT_EQ(planner->program_for(kAllReduce, kLarge).value(), nullptr);
  EXPECT_NE(planner->choose(kAllReduce, kLarge).value().reason.find("rank 0 has not asked its tuner"), std::string::npos);
  PlanChoice told = {.algorithm = "two_shot", .channels = 1};
  planner->overrides().hear({tuned_key(kAllReduce, kLarge, 1, 4096), told});
  EXPECT_EQ(planner->program_for(kAllReduce, kLarge).value()->program.algorithm, "two_shot");
  planner->overrides().expect_none();
  ASSERT_NE(planner->program_for(kAllReduce, 8).value(), nullptr);
}

TEST(Tuner, IsNotAskedWhereAnAlgorithmIsForced) {
  const Mode with("nan");
  auto planner = std::move(*Planner::create(single_host_topology(kRanks), 0, {.inline_bytes = 4096, .forced_algorithm = "two_shot"}));
  planner->overrides().use_tuner(std::move(*Tuner::load(TEST_TUNER, kJob)));
  EXPECT_EQ(planner->choose(kAllReduce, kLarge).value().algorithm, "two_shot");
}

TEST(Tuner, NonsenseIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"nan", "nan for all_reduce of 4194304 B on 8 ranks"},
      {"negative", "the cost -1.000000"},
      {"unknown", "row 0 ('telepathy') for all_reduce of 4194304 B on 8 ranks, but there is no algorithm of that name"},
      {"cannot", "the algorithm cannot do that"},
      {"endless_name", "an algorithm's name without an end"},
      {"moved", "moved the rows"},
      {"too_many", "rows in its table"},
      {"none", "left 0 rows"},
      {"verdict", "the verdict"},
      {"channels", "1000 channels are not 1 .. "},
      {"no_channels", "0 channels are not 1 .. "},
      {"parameter", "has no parameter 4711"},
      {"protocol", "the protocol"},
      {"slice", "slices of 3 bytes are too short"},
      {"forbid_all", "forbids every choice"}};
  for (const auto& [mode, part] : cases) {
    const std::string message = refusal(mode);
    EXPECT_NE(message.find(part), std::string::npos) << mode << ": " << message;
  }
}

TEST(Tuner, ThatCannotBeUsedIsRefusedByName) {
  EXPECT_NE(load_failure("/nonexistent/tuner.so").find("'/nonexistent/tuner.so' (TUTTI_TUNER) cannot be loaded: "), std::string::npos);
  EXPECT_NE(load_failure("no-such-tuner").find("libtutti-tuner-no-such-tuner.so"), std::string::npos);
  EXPECT_NE(load_failure("libm.so.6").find("'libm.so.6' (TUTTI_TUNER) is no tuner"), std::string::npos);
  const std::pair<const char*, const char*> cases[] = {{"version", "has version 7 of the tuner's table, this library 1"},
                                                       {"short", "says that its table has 16 bytes"},
                                                       {"no_tune", "has no function `tune`"},
                                                       {"no_name", "has no name"},
                                                       {"no_table", "returned no table"},
                                                       {"init_fails", "its init returned 2"}};
  for (const auto& [mode, part] : cases) {
    const Mode with(mode);
    const std::string message = load_failure(TEST_TUNER);
    EXPECT_NE(message.find(part), std::string::npos) << mode << ": " << message;
  }
}

TEST(Tuner, KeysTellApartWhatThePlanDependsOn) {
  PlanRequest other = kAllReduce;
  other.uneven = true;
  EXPECT_NE(tuned_key(kAllReduce, 100, 4, 4096), tuned_key(other, 100, 4, 4096));
  EXPECT_NE(tuned_key(kAllReduce, 100, 4, 4096), tuned_key(kAllReduce, 100, 8, 4096));
  EXPECT_NE(tuned_key(kAllReduce, 3000, 4, 3000), tuned_key(kAllReduce, 3001, 4, 3000)) << "inline or not";
  EXPECT_EQ(tuned_key(kAllReduce, 1025, 4, 512), tuned_key(kAllReduce, 2048, 4, 512));
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, size_t{1000}, size_t{4096}, size_t{4097}, SIZE_MAX}) {
    const size_t asked = asked_bytes(bytes, 3000);
    EXPECT_GE(asked, bytes);
    EXPECT_EQ(tuned_key(kAllReduce, asked, 4, 3000), tuned_key(kAllReduce, bytes, 4, 3000)) << bytes;
  }
}

}  // namespace
}  // namespace tutti
