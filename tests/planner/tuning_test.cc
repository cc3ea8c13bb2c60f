// Tuning files: what they hold comes back, the planner goes by it in its situation and nowhere else, wrong ones are refused by line and
// object. And what is forced in words, and choices in one word.
#include "planner/tuning.h"

#include <gtest/gtest.h>

#include <map>

#include "algorithms/algorithm.h"
#include "planner/choice_word.h"
#include "planner/planner.h"
#include "topology/cluster.h"

namespace tutti {
namespace {

constexpr size_t kHuge = size_t{1} << 40;

TunedChoice tuned(int ranks, size_t most_bytes, const PlanChoice& choice, int nodes = 1, const std::string& transport = "shm") {
  return {.situation = {.ranks = ranks, .nodes = nodes, .transport = transport}, .most_bytes = most_bytes, .choice = choice};
}

// All-reduce on four ranks of one host.
Tuning example() {
  return {.name = "bench",
          .choices = {tuned(4, 1000, {.algorithm = "recursive_doubling", .protocol = Protocol::kInline}),
                      tuned(4, 20'000, {.algorithm = "two_shot", .channels = 1, .protocol = Protocol::kInline}),
                      tuned(4, SIZE_MAX, {.algorithm = "ring", .channels = 4, .slice_bytes = 8192})}};
}

PlannerLimits limits_with(const Tuning& tuning, const std::string& forced = "") {
  return {.inline_bytes = 4096, .forced_algorithm = forced, .transport = "shm", .tuning = std::make_shared<const Tuning>(tuning)};
}

std::unique_ptr<Planner> planner(int nranks, const PlannerLimits& limits) {
  return std::move(*Planner::create(single_host_topology(nranks), 0, limits));
}

TEST(Tuning, ComesBackFromItsJson) {
  const std::string text = tuning_to_json(example());
  const Result<Tuning> back = tuning_from_json(text, "it");
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(tuning_to_json(back.value()), text);
  EXPECT_EQ(tuning_hash(back.value()), tuning_hash(example()));
  Tuning other = example();
  other.choices[1].most_bytes = 20'001;
  EXPECT_NE(tuning_hash(other), tuning_hash(example()));
}

TEST(Tuning, IsWhatThePlannerGoesBy) {
  const auto made = planner(4, limits_with(example()));
  const PlanRequest request{.nranks = 4};
  const auto at = [&](size_t bytes) { return made->choose(request, bytes).value(); };
  EXPECT_EQ(at(1000).algorithm, "recursive_doubling");
  EXPECT_EQ(at(1000).protocol, Protocol::kInline);
  EXPECT_NE(at(8).reason.find("measured"), std::string::npos) << at(8).reason;
  EXPECT_NE(at(8).reason.find("bench"), std::string::npos) << at(8).reason;
  EXPECT_EQ(at(1001).algorithm, "two_shot");
  EXPECT_EQ(at(4096).protocol, Protocol::kInline);
  // No inline slot holds more.
  EXPECT_EQ(at(4097).algorithm, "two_shot");
  EXPECT_EQ(at(4097).protocol, Protocol::kStaged);
  EXPECT_EQ(at(20'001).algorithm, "ring");
  EXPECT_EQ(at(kHuge).channels, 4);
  EXPECT_EQ(at(kHuge).slice_bytes, 8192u);
  EXPECT_EQ(made->program_for(request, kHuge).value()->program.channels.size(), 4u);
}

// Where slots have no inline protocol, what was measured with it goes staged.
TEST(Tuning, WithoutInlineSlotsIsStaged) {
  PlannerLimits limits = limits_with(example());
  limits.inline_bytes = 0;
  const PlanChoice choice = planner(4, limits)->choose({.nranks = 4}, 8).value();
  EXPECT_EQ(choice.algorithm, "recursive_doubling");
  EXPECT_EQ(choice.protocol, Protocol::kStaged);
}

TEST(Tuning, SaysNothingOfOtherSituations) {
  const auto by_rule = [](const PlanChoice& choice) { return choice.reason.find("measured") == std::string::npos; };
  EXPECT_TRUE(by_rule(planner(3, limits_with(example()))->choose({.nranks = 3}, kHuge).value()));
  const auto made = planner(4, limits_with(example()));
  EXPECT_TRUE(by_rule(made->choose({.collective = Collective::kAllGather, .nranks = 4}, kHuge).value()));
  EXPECT_TRUE(by_rule(made->choose({.nranks = 4, .rank_ordered = true}, kHuge).value()));
  EXPECT_TRUE(by_rule(planner(4, limits_with(example(), "two_shot"))->choose({.nranks = 4}, kHuge).value())) << "forced";
  PlannerLimits over_tcp = limits_with(example());
  over_tcp.transport = "tcp";
  EXPECT_TRUE(by_rule(planner(4, over_tcp)->choose({.nranks = 4}, kHuge).value()));
  // Two nodes, and four ranks of which one has an accelerator.
  std::vector<RankPlace> places(4, {.node = "a", .device = "host", .vendor = "cpu"});
  places[2].node = places[3].node = "b";
  const auto on = [&] {
    return std::move(*Planner::create(std::move(*Topology::create(cluster_graph(places))), 0, limits_with(example())));
  };
  EXPECT_TRUE(by_rule(on()->choose({.nranks = 4}, kHuge).value()));
  places[2].node = places[3].node = "a";
  EXPECT_FALSE(by_rule(on()->choose({.nranks = 4}, kHuge).value()));
  places[3].device = "cuda";
  EXPECT_TRUE(by_rule(on()->choose({.nranks = 4}, kHuge).value()));
}

TEST(Tuning, HoldsForNodesWithEquallyManyRanks) {
  Tuning tuning{.choices = {tuned(4, SIZE_MAX, {.algorithm = "ring"}, 2, "shm+tcp")}};
  PlannerLimits limits = limits_with(tuning);
  limits.transport = "shm+tcp";
  limits.carried = true;
  std::vector<RankPlace> places(4, {.node = "a", .device = "host", .vendor = "cpu"});
  places[2].node = places[3].node = "b";
  const auto reason = [&] {
    const auto made = std::move(*Planner::create(std::move(*Topology::create(cluster_graph(places))), 0, limits));
    return made->choose({.nranks = 4}, kHuge).value().reason;
  };
  EXPECT_NE(reason().find("measured"), std::string::npos) << reason();
  places[2].node = "a";
  EXPECT_EQ(reason().find("measured to be"), std::string::npos) << reason();
}

TEST(Tuning, WrongFilesAreRefusedByLineAndObject) {
  const std::string row = R"("collective": "all_reduce", "ranks": 4, "nodes": 1, "transport": "shm", "algorithm": "ring", "channels": 1)";
  const auto file_of = [](const std::string& choices) { return "{\"version\": 1,\n\"choices\": [\n" + choices + "]}"; };
  ASSERT_TRUE(tuning_from_json(file_of("{" + row + "}"), "t").ok());
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"{", "t:1: not JSON"},
      {"{\"choices\": []}", "the file has no key 'version'"},
      {"{\"version\": 2, \"choices\": []}", "is of version 2, but this library reads version 1"},
      {"{\"version\": 1}", "the file has no key 'choices'"},
      {file_of("{" + row + "},\n{" + row + "}"), "t:4: choices[1]: most_bytes is not more"},
      {file_of("{" + row + ", \"colour\": 1}"), "t:3: choices[0] has the unknown key 'colour'"},
      {file_of("{" + row + ", \"most_bytes\": 7}"), "is the last for all_reduce on 4 ranks of 1 nodes over shm, but has most_bytes"},
      {file_of("{" + row + ", \"most_bytes\": -7}"), "most_bytes is -7"},
      {file_of("{" + row + ", \"parameter\": 77}"), "no parameter of 'ring'"},
      {file_of("{" + row + ", \"protocol\": \"smoke\"}"), "no protocol 'smoke'"},
      {file_of("{" + row + ", \"slice_bytes\": -1}"), "slice_bytes is -1"},
      {file_of("{" + row + ", \"measured_us\": -1}"), "measured_us is -1"},
      {file_of("{" + row + ", \"ranks\": 4}"), "the key 'ranks' appears twice"},
      {file_of("7"), "choices[0] must be an object"},
  };
  for (const auto& [text, sentence] : wrong) {
    const Result<Tuning> read = tuning_from_json(text, "t");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
    EXPECT_NE(read.status().message().find(sentence), std::string::npos) << read.status().message();
  }
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"all_reduce", "all_sum"},
                                                                                 {"\"ring\"", "\"telepathy\""},
                                                                                 {"\"channels\": 1", "\"channels\": 0"},
                                                                                 {"\"channels\": 1", "\"channels\": 9"},
                                                                                 {"\"nodes\": 1", "\"nodes\": 3"}}) {
    std::string changed = row;
    changed.replace(changed.find(from), from.size(), to);
    EXPECT_FALSE(tuning_from_json(file_of("{" + changed + "}"), "t").ok()) << changed;
  }
}

TEST(Tuning, SizesThatDoNotAscendAndSituationsInTwoPlacesAreRefused) {
  Tuning twice = example();
  twice.choices.push_back(tuned(2, SIZE_MAX, {.algorithm = "ring"}));
  twice.choices.push_back(twice.choices[2]);
  Result<Tuning> read = tuning_from_json(tuning_to_json(twice), "t");
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.status().message().find("stands at two places"), std::string::npos) << read.status().message();
  Tuning falling = example();
  std::swap(falling.choices[0], falling.choices[1]);
  read = tuning_from_json(tuning_to_json(falling), "t");
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.status().message().find("t:4: choices[1]: most_bytes is not more"), std::string::npos) << read.status().message();
}

// Where a message was measured to cost much, small calls send fewer.
TEST(Costs, DearMessagesAreSaved) {
  std::vector<RankPlace> places;
  for (const char* const node : {"a", "b", "c", "d"}) places.push_back({.node = node, .device = "host", .vendor = "cpu"});
  const auto sends = [&](double message_us) {
    Graph graph = cluster_graph(places);
    graph.costs.message_us = message_us;
    const auto made = std::move(*Planner::create(std::move(*Topology::create(graph)), 0, {.inline_bytes = 4096, .carried = true}));
    int count = 0;
    for (const auto& channel : made->program_for({.nranks = 4}, 8).value()->program.channels) {
      for (const Instruction& instruction : channel) count += instruction.send_peer != kNoPeer ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(sends(0), 3) << "one step";
  EXPECT_EQ(sends(70), 2) << "two steps";
}

TEST(Forced, ChannelsMayBeForcedToo) {
  const PlanRequest request{.nranks = 4};
  for (const size_t bytes : {size_t{8}, kHuge}) {
    const auto three = std::move(*Planner::create(single_host_topology(4), 0, {.inline_bytes = 4096, .forced_algorithm = "ring:3"}));
    EXPECT_EQ(three->choose(request, bytes).value().algorithm, "ring");
    EXPECT_EQ(three->choose(request, bytes).value().channels, 3);
  }
  // No more than it has a use for.
  const auto linear = std::move(*Planner::create(single_host_topology(4), 0, {.forced_algorithm = "linear:8"}));
  const PlanRequest broadcast{.collective = Collective::kBroadcast, .nranks = 4};
  EXPECT_LE(linear->choose(broadcast, 8).value().channels, find_algorithm("linear")->max_channels(broadcast, *single_host_topology(4)));
}

TEST(Forced, WhatCannotBeForcedIsSaid) {
  for (const char* const text : {"ring:", "ring:0", "ring:9", "ring:x", "ring:1:77", "telepathy:1", ":1"}) {
    const Status status = Planner::check(text);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text;
    EXPECT_NE(status.message().find("TUTTI_ALGORITHM"), std::string::npos) << status.message();
  }
  EXPECT_TRUE(Planner::check("").ok());
  EXPECT_TRUE(Planner::check("ring:8:0").ok());
}

TEST(ChoiceWord, EqualChoicesHaveEqualWordsAndOthersOthers) {
  std::vector<PlanChoice> choices;
  for (const Algorithm* algorithm : algorithms()) {
    for (const int channels : {1, 2, 8, 64}) {
      for (const int parameter : {0, 3, 100'000}) {
        for (const Protocol protocol : {Protocol::kInline, Protocol::kStaged}) {
          for (const uint32_t slice : {0u, 4096u, UINT32_MAX}) {
            choices.push_back(
                {.algorithm = algorithm->name, .channels = channels, .parameter = parameter, .protocol = protocol, .slice_bytes = slice});
          }
        }
      }
    }
  }
  choices.push_back({.algorithm = "somebody's own"});
  std::map<uint64_t, PlanChoice> by_word;
  for (PlanChoice& choice : choices) {
    const uint64_t word = choice_word(choice);
    EXPECT_NE(word, 0u);
    EXPECT_TRUE(by_word.emplace(word, choice).second) << describe_choice(word);
    choice.reason = "for people";
    EXPECT_EQ(choice_word(choice), word);
  }
  EXPECT_EQ(describe_choice(choice_word({.algorithm = "ring", .channels = 2})), "ring, 2 channels, staged");
  for (uint64_t word = 0; word < 1000; ++word) EXPECT_FALSE(describe_choice(word * 0x9e3779b97f4a7c15u).empty());
}

}  // namespace
}  // namespace tutti
