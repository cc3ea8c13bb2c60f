// tuttiCommSplit: who comes into which communicator and in which order, that the children work and do not disturb their parent, and that
// it can be repeated.
#include <gtest/gtest.h>

#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

struct Choice {
  int color;
  int key;
};
using Chooser = Choice (*)(int rank, int nranks);

// The ranks of `rank`'s color in their new order; empty without a color.
std::vector<int> mates_of(Chooser choose, int rank, int nranks) {
  std::vector<int> mates;
  const int color = choose(rank, nranks).color;
  for (int other = 0; other < nranks && color != TUTTI_SPLIT_NOCOLOR; ++other) {
    if (choose(other, nranks).color == color) mates.push_back(other);
  }
  std::stable_sort(mates.begin(), mates.end(), [&](int a, int b) { return choose(a, nranks).key < choose(b, nranks).key; });
  return mates;
}

// A few collectives on a communicator where this is rank `rank`.
Finding exercise(const Member& member, int rank, int nranks, uint64_t seed) {
  for (const Kind kind : {Kind::kAllReduce, Kind::kAllGather, Kind::kAllToAll, Kind::kBroadcast, Kind::kGatherV}) {
    const Call call = {.kind = kind,
                       .type = tuttiInt32,
                       .op = Op::kAffine,
                       .root = nranks - 1,
                       .count = 100 + seed % 1000,
                       .counts = std::vector<size_t>(static_cast<size_t>(nranks), 31),
                       .seed = seed};
    const Finding found = RankCall(std::make_shared<const Oracle>(call, nranks), rank, random_layout(seed)).run(member);
    if (!found.empty()) return found;
  }
  return {};
}

Finding check_child(tuttiComm_t comm, const std::vector<int>& mates, int parent_rank) {
  if (mates.empty()) return comm == nullptr ? "" : "no color, but a communicator";
  int rank = -1, nranks = -1;
  if (tuttiCommCount(comm, &nranks) != tuttiSuccess || tuttiCommUserRank(comm, &rank) != tuttiSuccess) return "the child is unusable";
  if (nranks != static_cast<int>(mates.size())) return "the child has " + std::to_string(nranks) + " ranks";
  if (mates[static_cast<size_t>(rank)] != parent_rank) return "the child's rank is " + std::to_string(rank);
  return {};
}

Finding split_and_use(const Member& parent, int rank, int nranks, Chooser choose) {
  const Choice mine = choose(rank, nranks);
  Member child = {.device = parent.device};
  const tuttiResult_t result = tuttiCommSplit(parent.comm, mine.color, mine.key, &child.comm, nullptr);
  if (result != tuttiSuccess) return expect_success(result, "split", parent.comm);
  const std::vector<int> mates = mates_of(choose, rank, nranks);
  Finding found = check_child(child.comm, mates, rank);
  if (found.empty() && child.comm != nullptr) {
    const int place = static_cast<int>(std::find(mates.begin(), mates.end(), rank) - mates.begin());
    found = child.create_reductions(place);
    if (found.empty()) found = exercise(child, place, static_cast<int>(mates.size()), 7 + static_cast<uint64_t>(mine.color));
  }
  if (found.empty()) found = exercise(parent, rank, nranks, 3);  // the parent goes on beside its child
  return found + expect_success(tuttiCommDestroy(child.comm), "destroy");
}

class Split : public ::testing::TestWithParam<int> {};

TEST_P(Split, GivesTheColorsTheirOwn) {
  const int nranks = GetParam();
  Finding found;
  World& world = world_of({.nranks = nranks}, found);
  ASSERT_TRUE(nothing_wrong(found));
  constexpr Chooser kChoosers[] = {
      [](int, int) {
        return Choice{0, 0};
      },  // all as they were
      [](int rank, int) {
        return Choice{5, -rank};
      },  // all, in reverse
      [](int rank, int) {
        return Choice{rank % 2, 0};
      },  // by parity
      [](int rank, int n) {
        return Choice{rank * 3 / n, rank % 2};
      },  // neighbours, equal keys keep the ranks' order
      [](int rank, int) {
        return Choice{rank, 100};
      },  // each alone
      [](int rank, int) {
        return Choice{rank % 3 == 0 ? TUTTI_SPLIT_NOCOLOR : 2, 0};
      },  // some without
      [](int, int) {
        return Choice{TUTTI_SPLIT_NOCOLOR, 0};
      },  // all without
  };
  for (int round = 0; round < 2; ++round) {
    for (const Chooser choose : kChoosers) {
      found = world.run([&](int rank, const Member& member) { return split_and_use(member, rank, nranks, choose); });
      ASSERT_TRUE(nothing_wrong(found)) << "chooser " << &choose - kChoosers;
    }
  }
}

TEST_P(Split, NestsAndOutlivesItsParent) {
  const int nranks = GetParam();
  tuttiUniqueId id;
  ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  const Finding found = team().run(nranks, [&](int rank) -> Finding {
    Member parent, child, grandchild;
    Finding problem = expect_success(tuttiCommInitRank(&parent.comm, nranks, id, rank), "join");
    problem += expect_success(tuttiCommSplit(parent.comm, 0, -rank, &child.comm, nullptr), "split");
    problem += expect_success(tuttiCommSplit(child.comm, 0, rank, &grandchild.comm, nullptr), "split again");  // reversed twice
    problem += expect_success(tuttiCommDestroy(parent.comm), "destroy");
    problem += expect_success(tuttiCommDestroy(child.comm), "destroy");
    if (!problem.empty()) return problem;
    problem = grandchild.create_reductions(rank);
    problem += exercise(grandchild, rank, nranks, 1);
    return problem + expect_success(tuttiCommDestroy(grandchild.comm), "destroy");
  });
  ASSERT_TRUE(nothing_wrong(found));
}

// A child may have settings of its own.
TEST_P(Split, TakesAConfig) {
  const int nranks = GetParam();
  Finding found;
  World& world = world_of({.nranks = nranks}, found);
  ASSERT_TRUE(nothing_wrong(found));
  found = world.run([&](int rank, const Member& member) -> Finding {
    tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
    config.algorithm = "double_binary_tree";
    Member child;
    if (tuttiCommSplit(member.comm, 0, rank, &child.comm, &config) != tuttiSuccess) return tuttiGetLastError(member.comm);
    char text[1024] = {};
    static_cast<void>(tuttiCommExplain(child.comm, tuttiCollectiveAllReduce, 4, tuttiInt32, tuttiSum, 0, text, sizeof text, nullptr));
    Finding problem = child.create_reductions(rank);
    problem += exercise(child, rank, nranks, 2);
    if (std::string(text).find("double_binary_tree") == std::string::npos) problem += text;
    return problem + expect_success(tuttiCommDestroy(child.comm), "destroy");
  });
  ASSERT_TRUE(nothing_wrong(found));
}

INSTANTIATE_TEST_SUITE_P(Ranks, Split, ::testing::Values(1, 2, 5, 8), ::testing::PrintToStringParamName());

// Both ranks of a color that brings different settings are told, with the settings; the other color goes its way, and so does the parent.
TEST(SplitSettings, MustBeEqual) {
  Finding found;
  World& world = world_of({.nranks = 4}, found);
  ASSERT_TRUE(nothing_wrong(found));
  found = world.run([&](int rank, const Member& member) -> Finding {
    tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
    if (rank == 3) config.algorithm = "one_shot";
    Member child;
    const tuttiResult_t result = tuttiCommSplit(member.comm, rank / 2, 0, &child.comm, &config);
    Finding problem;
    if (rank < 2) {
      problem = expect_success(result, "split", member.comm) + child.create_reductions(rank % 2);
      if (problem.empty()) problem = exercise(child, rank % 2, 2, 4);
      return problem + expect_success(tuttiCommDestroy(child.comm), "destroy");
    }
    const std::string text = tuttiGetLastError(nullptr);
    if (result != tuttiInvalidUsage || child.comm != nullptr) return "result " + std::to_string(result);
    for (const char* part : {"pid", "algorithm=one_shot", "give all ranks"}) {
      if (text.find(part) == std::string::npos) return std::string(part) + " is not in: " + text;
    }
    return {};
  });
  ASSERT_TRUE(nothing_wrong(found));
  found = world.run([&](int rank, const Member& member) { return exercise(member, rank, 4, 5); });
  ASSERT_TRUE(nothing_wrong(found));
}

TEST(SplitArguments, AreChecked) {
  Finding found;
  World& world = world_of({.nranks = 1}, found);
  ASSERT_TRUE(nothing_wrong(found));
  tuttiComm_t child = nullptr;
  EXPECT_EQ(tuttiCommSplit(world.comm(0), -7, 0, &child, nullptr), tuttiInvalidArgument);
  EXPECT_NE(std::string(tuttiGetLastError(world.comm(0))).find("color"), std::string::npos);
  EXPECT_EQ(tuttiCommSplit(world.comm(0), 0, 0, nullptr, nullptr), tuttiInvalidArgument);
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  EXPECT_EQ(tuttiCommSplit(world.comm(0), 0, 0, &child, nullptr), tuttiInvalidUsage);
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);
  EXPECT_EQ(child, nullptr);
}

}  // namespace
}  // namespace tutti::test
