// Topology files: what is written is read back exactly, and every way in which a file can be wrong is a sentence with file, line, object
// and remedy.
#include "topology/graph_json.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <random>

#include "fake_root.h"
#include "topology/machine.h"
#include "topology/systems.h"
#include "topology/topology.h"

namespace tutti {
namespace {

Result<Graph> read(const std::string& text) {
  return graph_from_json(text, "t.json");
}

std::string refusal(const std::string& text) {
  Result<Graph> graph = read(text);
  if (graph.ok()) return "accepted";
  EXPECT_EQ(graph.status().code(), Code::kInvalidArgument);
  return graph.status().message();
}

// Two hosts and a switch, a line for each object; `links` follow the two links of b.
std::string file_with(const std::string& endpoints, const std::string& links = "", const std::string& more = "") {
  return R"({"name": "pair", "source": "declared",)" + more + R"(
"endpoints": [
)" + endpoints +
         R"(],
"switches": [{"id": "s"}],
"links": [
{"from": "b", "to": "s", "GBps": 12.5, "latency_us": 1},
{"from": "s", "to": "b", "GBps": 12.5, "latency_us": 1})" +
         links + "]}";
}

const std::string kEndpoints = R"({"id": "a", "node": "x", "rank": 0},
{"id": "b", "node": "y", "rank": 1}
)";
const std::string kLinks = R"(,
{"from": "a", "to": "s", "GBps": 1e1, "latency_us": 0.5, "kind": "ethernet", "count": 2, "x-note": [1]},
{"from": "s", "to": "a", "GBps": 10, "latency_us": 0.5})";

std::string with_link(const std::string& link) {
  return file_with(kEndpoints, kLinks + ",\n" + link);
}

TEST(GraphJsonReader, RoundTripIsExact) {
  for (const SystemFamily& family : system_families()) {
    const Graph graph = *named_system(family.name);
    Result<Graph> again = read(graph_to_json(graph));
    ASSERT_TRUE(again.ok()) << family.name << ": " << again.status().message();
    EXPECT_TRUE(*again == graph) << family.name;
  }
  for (const char* name : {"dgx-h100:2+mi300x:2", "tpu-v5e:2x3,wrap=11", "tpu-v4:1x1x1", "fat-tree:70,k=8,oversubscription=3"}) {
    const Graph graph = *named_system(name);
    Result<Graph> again = read(graph_to_json(graph));
    ASSERT_TRUE(again.ok()) << name << ": " << again.status().message();
    EXPECT_TRUE(*again == graph) << name;
  }
  const Graph here = machine_graph(*detect_machine());
  Result<Graph> again = read(graph_to_json(here));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(*again == here);
}

TEST(GraphJsonReader, CostsAreReadBackAndCheckedLikeTheRest) {
  Graph graph = *named_system("ethernet:2");
  graph.costs = {.message_us = 5.5, .copy_GBps = 3, .reduce_GBps = 2.25};
  Result<Graph> again = read(graph_to_json(graph));
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->costs, graph.costs);
  EXPECT_NE(graph_hash(*again), graph_hash(*named_system("ethernet:2")));
  const auto with_costs = [](const std::string& costs) { return file_with(kEndpoints, kLinks, " \"costs\": " + costs + ","); };
  EXPECT_EQ(refusal(with_costs("{\"message_us\": 3}")), "accepted");
  EXPECT_NE(refusal(with_costs("7")).find("costs is 7, but must be an object"), std::string::npos);
  EXPECT_NE(refusal(with_costs("{\"message_us\": -1}")).find("message_us is -1, but must be 0"), std::string::npos);
  EXPECT_NE(refusal(with_costs("{\"colour\": 1}")).find("unknown key 'colour'"), std::string::npos);
}

TEST(GraphJsonReader, WhatIsMissingHasItsDefault) {
  Result<Graph> graph = read(file_with(kEndpoints, kLinks));
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(graph->endpoints[0],
            (Endpoint{.id = "a", .device = "host", .vendor = "", .node = "x", .rank = 0, .island = "", .forwards = false}));
  EXPECT_EQ(graph->links[2], (Link{.from = "a", .to = "s", .GBps = 10, .latency_us = 0.5, .kind = "ethernet", .count = 2}));
  EXPECT_EQ(graph->links[3].count, 1);
  EXPECT_FALSE(graph->switches[0].reduces);
}

TEST(GraphJsonReader, EveryWrongFileIsASentenceWithFileLineObjectAndRemedy) {
  const auto axes = [](const std::string& list) { return file_with(kEndpoints, kLinks, R"("axes": )" + list + ","); };
  const std::map<std::string, std::string> expected = {
      {"", "t.json:1: not JSON"},
      {"{\"name\": \"a\",\n\"links\": [}", "t.json:2: not JSON"},
      {"[]", "the file must be an object, is array"},
      {R"({"links": []})", "the file has no key 'endpoints': add it"},
      {R"({"endpoints": []})", "the file has no key 'links': add it"},
      {R"({"endpoints": {}, "links": []})", "endpoints is object, but must be an array"},
      {R"({"endpoints": [7], "links": []})", "endpoints[0] must be an object, is number"},
      {R"({"endpoints": [], "links": [], "edges": []})", "unknown key 'edges'"},
      {R"({"endpoints": [], "endpoints": [], "links": []})", "the key 'endpoints' appears twice"},
      {R"({"endpoints": [], "links": [], "name": 7})", "name is 7, but must be a text"},
      {file_with(R"({"node": "x"})"), "t.json:3: endpoints[0] has no key 'id': add it"},
      {file_with("\n" + std::string(R"({"id": "a", "node": "x", "nodes": 1})")), "t.json:4: endpoints[0] has the unknown key 'nodes'"},
      {file_with(R"({"id": "", "node": "x"})"), "id is empty"},
      {file_with(R"({"id": "s", "node": "x"})"), "t.json:4: switches[0] has the id 's', which endpoints[0] has already"},
      {file_with(kEndpoints + R"(,{"id": "a", "node": "x"})"), "t.json:5: endpoints[2] has the id 'a', which endpoints[0] has already"},
      {file_with(R"({"id": "b", "node": "x", "rank": "0"})"), "rank is \"0\", but must be a whole number of -1 or more"},
      {file_with(R"({"id": "b", "node": "x", "rank": 1.5})"), "must be a whole number"},
      {file_with(R"({"id": "b", "node": "x", "rank": 99999999999999999999})"), "must be a whole number"},
      {file_with(R"({"id": "b", "node": "x", "rank": 18446744073709551615})"), "must be a whole number"},
      {file_with(R"({"id": "b", "node": "x", "rank": -2})"), "must be a whole number of -1 or more"},
      {file_with(R"({"id": "b", "node": "x", "rank": 1})"), "t.json:3: endpoints[0] ('b') has rank 1, but only 1 endpoints have one"},
      {file_with("{\"id\": \"a\", \"node\": \"x\", \"rank\": 0},\n{\"id\": \"b\", \"node\": \"x\", \"rank\": 0}", kLinks),
       "t.json:4: endpoints[1] ('b') has rank 0, which 'a' has already"},
      {file_with(R"({"id": "b", "node": "x", "forwards": 1})"), "forwards is 1, but must be true or false"},
      {file_with(kEndpoints), "no links lead from 'a' to 'b' and back: the graph is disconnected"},
      {with_link(R"({"from": "a", "to": "c", "GBps": 1, "latency_us": 1})"),
       "t.json:12: links[4]: to is 'c', but there is no such endpoint"},
      {with_link(R"({"from": "a", "to": "a", "GBps": 1, "latency_us": 1})"), "joins 'a' to itself"},
      {with_link(R"({"from": "a", "to": "b", "GBps": -1, "latency_us": 1})"), "links[4]: GBps is -1, but must be above 0"},
      {with_link(R"({"from": "a", "to": "b", "GBps": 0, "latency_us": 1})"), "GBps is 0, but must be above 0"},
      {with_link(R"({"from": "a", "to": "b", "GBps": NaN, "latency_us": 1})"), "t.json:12: not JSON"},
      {with_link(R"({"from": "a", "to": "b", "GBps": 1e999, "latency_us": 1})"), "not JSON"},
      {with_link(R"({"from": "a", "to": "b", "GBps": "1", "latency_us": 1})"), "GBps is \"1\", but must be a number"},
      {with_link(R"({"from": "a", "to": "b", "latency_us": 1})"), "links[4] has no key 'GBps'"},
      {with_link(R"({"from": "a", "to": "b", "GBps": 1})"), "links[4] has no key 'latency_us'"},
      {with_link(R"({"from": "a", "to": "b", "GBps": 1, "latency_us": -0.1})"), "latency_us is -0.1, but must be 0 or more"},
      {with_link(R"({"from": "a", "to": "b", "GBps": 1, "latency_us": 1, "count": 0})"), "count is 0, but must be a whole number of 1"},
      {with_link(R"({"from": "a", "to": "b", "GBps": 1, "latency_us": 1, "Count": 1})"), "links[4] has the unknown key 'Count'"},
      {axes(R"([{"size": 0}])"), "axes[0]: size is 0, but must be a whole number of 1 or more"},
      {axes(R"([{}])"), "axes[0] has no key 'size'"},
      {axes(R"([{"size": 2, "wrap": 1}])"), "wrap is 1, but must be true or false"},
      {axes(R"([{"size": 3}])"), "the axes have 3 places, but there are 2 endpoints"},
      {axes(R"([{"size": 2147483647}, {"size": 2147483647}])"), "places, but there are 2 endpoints"},
      {axes(R"([{"size": 2}])"), "no link leads from 'a' to 'b', which the axes make neighbours"},
  };
  for (const auto& [text, part] : expected) {
    const std::string sentence = refusal(text);
    EXPECT_NE(sentence.find(part), std::string::npos) << text << "\ngave: " << sentence << "\nwanted: " << part;
    EXPECT_NE(sentence.find("t.json"), std::string::npos) << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  }
}

TEST(GraphJsonReader, AxesMustBeAsTheLinks) {
  Graph graph = *named_system("tpu-v5e:3x3,wrap=10");
  graph.axes[1].wrap = true;
  EXPECT_NE(refusal(graph_to_json(graph)).find("no link leads from 'tpu-v5e-0/0,0' to 'tpu-v5e-0/0,2'"), std::string::npos);
  graph.axes = {{3, false}, {3, false}};
  EXPECT_NE(refusal(graph_to_json(graph)).find("which are not neighbours along any axis"), std::string::npos);
  graph.axes = {{3, true}, {3, false}};
  EXPECT_EQ(refusal(graph_to_json(graph)), "accepted");
  std::swap(graph.endpoints[1].rank, graph.endpoints[2].rank);
  EXPECT_NE(refusal(graph_to_json(graph)).find("ranks follow the order of the endpoints"), std::string::npos);
}

TEST(GraphJsonReader, FilesOfTheDisk) {
  const FakeRoot root;
  root.write("/good.json", graph_to_json(*named_system("mi300x")));
  Result<Graph> good = read_graph_file(root.path() + "/good.json");
  ASSERT_TRUE(good.ok()) << good.status().message();
  EXPECT_TRUE(*good == *named_system("mi300x"));
  Result<Graph> none = read_graph_file(root.path() + "/none.json");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.status().message().find("/none.json: No such file"), std::string::npos) << none.status().message();
  EXPECT_FALSE(read_graph_file(root.path()).ok()) << "a folder";
  root.write("/bad.xml", "<?xml version=\"1.0\"?><what/>");
  Result<Graph> bad = read_graph_file(root.path() + "/bad.xml");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.status().message().find("bad.xml"), std::string::npos) << bad.status().message();
}

// Bytes of good files changed, removed, repeated: whatever comes of it is refused with a sentence, or is a graph that is sound and is read
// back the same.
TEST(GraphJsonReader, MutatedFiles) {
  std::vector<std::string> seeds = {file_with(kEndpoints, kLinks), graph_to_json(*named_system("tpu-v5e:2x2")),
                                    graph_to_json(*named_system("dgx-h100,chips=2"))};
  const std::string pieces[] = {"-1", "0", "1e308", "null", "{}", "[]", "\"\"", "true", ",", "\"s\"", "\\", "\"rank\": 0,", "9e99", "\xff"};
  std::mt19937 random(5);
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = seeds[below(seeds.size())];
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      const size_t at = below(text.size()), length = std::min(text.size() - at, 1 + below(12));
      switch (below(4)) {
        case 0: text[at] = static_cast<char>(below(256)); break;
        case 1: text.erase(at, length); break;
        case 2: text.insert(at, text.substr(at, length)); break;
        default: text.replace(at, length, pieces[below(std::size(pieces))]); break;
      }
      if (text.empty()) text = " ";
    }
    Result<Graph> graph = read(text);
    if (!graph.ok()) {
      ASSERT_EQ(graph.status().code(), Code::kInvalidArgument);
      ASSERT_FALSE(graph.status().message().empty());
      continue;
    }
    ++accepted;
    ASSERT_TRUE(Topology::create(*graph).ok()) << text;
    Result<Graph> again = read(graph_to_json(*graph));
    ASSERT_TRUE(again.ok() && *again == *graph) << text;
  }
  EXPECT_GT(accepted, 100U);
  EXPECT_LT(accepted, 15000U);
}

}  // namespace
}  // namespace tutti
