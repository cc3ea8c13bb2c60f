// tuttiCommExplain: the JSON's keys and values, and what happens where the text does not fit.
#include <nlohmann/json.hpp>

#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

tuttiResult_t explain(tuttiComm_t comm, size_t count, char* text, size_t capacity, size_t* length) {
  return tuttiCommExplain(comm, tuttiCollectiveAllReduce, count, tuttiFloat32, tuttiSum, 0, text, capacity, length);
}

std::string explanation(tuttiComm_t comm, size_t count) {
  char text[4096];
  size_t length = 0;
  EXPECT_EQ(explain(comm, count, text, sizeof text, &length), tuttiSuccess) << tuttiGetLastError(comm);
  EXPECT_EQ(length, std::strlen(text));
  return text;
}

TEST(Explain, SaysWhatWhereAndWhy) {
  ApiRanks ranks(3);
  const nlohmann::json small = nlohmann::json::parse(explanation(ranks[1], 2)),
                       large = nlohmann::json::parse(explanation(ranks[1], 1 << 20));
  for (const nlohmann::json& json : {small, large}) {
    std::vector<std::string> keys;
    for (const auto& item : json.items()) keys.push_back(item.key());
    EXPECT_EQ(keys, (std::vector<std::string>{"algorithm", "binding_cut", "bound_us", "bytes", "channels", "collective", "percent_of_bound",
                                              "predicted_us", "protocol", "ranks", "reason", "second", "source", "transport"}));
    EXPECT_EQ(json["source"], "rule");
    EXPECT_GT(json["predicted_us"], 0);
    EXPECT_GT(json["bound_us"], 0);
    EXPECT_NEAR(json["percent_of_bound"].get<double>(), 100 * json["bound_us"].get<double>() / json["predicted_us"].get<double>(), 1e-6);
    EXPECT_FALSE(json["binding_cut"].get<std::string>().empty());
    EXPECT_NE(json["second"]["algorithm"], json["algorithm"]);
    EXPECT_GE(json["second"]["channels"], 1);
    EXPECT_GT(json["second"]["predicted_us"], 0);
    EXPECT_EQ(json["collective"], "all_reduce");
    EXPECT_EQ(json["ranks"], 3);
    const char* const transports = std::getenv("TUTTI_TRANSPORTS");
    EXPECT_EQ(json["transport"], transports != nullptr ? transports : "shm");
    EXPECT_GE(json["channels"], 1);
    EXPECT_FALSE(json["reason"].get<std::string>().empty());
  }
  EXPECT_EQ(small["bytes"], 8);
  EXPECT_EQ(small["protocol"], "inline");
  EXPECT_EQ(large["bytes"], 4 << 20);
  EXPECT_EQ(large["protocol"], "staged");
  EXPECT_NE(small["algorithm"], large["algorithm"]);
}

TEST(Explain, IsLocalAndAlikeOnAllRanks) {
  ApiRanks ranks(4);
  for (const size_t count : {0, 1, 5000, 1 << 20}) {
    const std::string first = explanation(ranks[0], count);
    for (int rank = 1; rank < 4; ++rank) EXPECT_EQ(explanation(ranks[rank], count), first);
  }
}

TEST(Explain, AForcedAlgorithmIsShown) {
  tuttiConfig_t config = unset_config();
  config.algorithm = "ring";
  ApiRanks ranks(2, &config);
  const nlohmann::json json = nlohmann::json::parse(explanation(ranks[0], 1));
  EXPECT_EQ(json["algorithm"], "ring");
  EXPECT_TRUE(contains(json["reason"], "forced"));
  EXPECT_EQ(json["source"], "forced");
}

TEST(Explain, ARegisteredPlanIsShownAndWrongOnesAreRefused) {
  ApiRanks alone(1);
  const char* const plan = R"({"collective": "all_reduce", "algorithm": "mine", "nranks": 1, "root": 0,
    "largest_message": {"num": 1, "den": 1}, "ranks": [{"rank": 0, "scratch_blocks": 0, "channels": [[
      {"op": "copy", "src": {"buffer": "input", "begin": 0, "end": 1, "den": 1},
       "dst": {"buffer": "output", "begin": 0, "end": 1, "den": 1}, "completes": true}]]}]})";
  EXPECT_EQ(tuttiCommRegisterPlan(alone[0], nullptr, 0, 0), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone[0]), "json is NULL"));
  EXPECT_EQ(tuttiCommRegisterPlan(alone[0], plan, 9, 8), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone[0]), "maxBytes is 8, less than minBytes, 9"));
  EXPECT_EQ(tuttiGroupStart(), tuttiSuccess);
  EXPECT_EQ(tuttiCommRegisterPlan(alone[0], plan, 0, 0), tuttiInvalidUsage);
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);
  ASSERT_EQ(tuttiCommRegisterPlan(alone[0], plan, 4, 400), tuttiSuccess) << tuttiGetLastError(alone[0]);
  nlohmann::json json = nlohmann::json::parse(explanation(alone[0], 100));
  EXPECT_EQ(json["algorithm"], "mine");
  EXPECT_EQ(json["source"], "plan");
  EXPECT_EQ(nlohmann::json::parse(explanation(alone[0], 101))["source"], "rule");
  float data[2] = {1, 2};
  EXPECT_EQ(all_reduce(data, data, 2, alone[0]), tuttiSuccess);
}

TEST(Explain, CutsTheTextAndTellsTheWholeLength) {
  ApiRanks alone(1);
  const std::string whole = explanation(alone[0], 100);
  for (size_t capacity = 0; capacity <= whole.size() + 2; ++capacity) {
    std::string text(whole.size() + 8, '#');
    size_t length = 0;
    ASSERT_EQ(explain(alone[0], 100, text.data(), capacity, &length), tuttiSuccess);
    EXPECT_EQ(length, whole.size());
    if (capacity == 0) {
      EXPECT_EQ(text[0], '#');
    } else {
      EXPECT_EQ(std::string(text.c_str()), whole.substr(0, capacity - 1));
      EXPECT_EQ(text.find_first_not_of('#', capacity), std::string::npos) << "written past a capacity of " << capacity;
    }
  }
}

TEST(Explain, TakesNullWhereThatMakesSense) {
  ApiRanks alone(1);
  char text[16];
  size_t length = 0;
  EXPECT_EQ(explain(alone[0], 1, nullptr, 0, &length), tuttiSuccess);
  EXPECT_GT(length, 0u);
  EXPECT_EQ(explain(alone[0], 1, text, sizeof text, nullptr), tuttiSuccess);
  EXPECT_EQ(explain(alone[0], 1, nullptr, 0, nullptr), tuttiSuccess);
}

TEST(Explain, WrongArgumentsAreRefused) {
  ApiRanks alone(1);
  char text[16];
  EXPECT_EQ(explain(alone[0], 1, nullptr, 5, nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone[0]), "text is NULL"));
  EXPECT_EQ(explain(alone[0], static_cast<size_t>(-1), text, sizeof text, nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone[0]), "more than memory can hold"));
  EXPECT_EQ(tuttiCommExplain(alone[0], unnamed<tuttiCollective_t>(99), 1, tuttiFloat32, tuttiSum, 0, text, sizeof text, nullptr),
            tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone[0]), "collective 99 is unknown"));
  EXPECT_EQ(tuttiCommExplain(alone[0], tuttiCollectiveAllReduce, 1, unnamed<tuttiDataType_t>(99), tuttiSum, 0, text, sizeof text, nullptr),
            tuttiInvalidArgument);
  EXPECT_EQ(tuttiCommExplain(alone[0], tuttiCollectiveAllReduce, 1, tuttiFloat32, unnamed<tuttiRedOp_t>(99), 0, text, sizeof text, nullptr),
            tuttiInvalidArgument);
}

// Asking changes nothing: the calls that follow plan and run as ever.
TEST(Explain, MayBeAskedBetweenCalls) {
  ApiRanks ranks(2);
  ranks.each([](int rank, tuttiComm_t comm) {
    for (int round = 0; round < 3; ++round) {
      explanation(comm, 12345);
      GuardedFloats data(12345);
      data.fill(rank, round);
      EXPECT_EQ(all_reduce(data.data(), data.data(), data.size(), comm), tuttiSuccess);
      EXPECT_TRUE(data.holds_sum(2, round));
    }
  });
}

}  // namespace
}  // namespace tutti
