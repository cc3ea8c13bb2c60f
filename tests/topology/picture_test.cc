// Pictures: well-formed whatever the names, everything in its place, bounded, and the same every time.
#include "topology/picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <pugixml.hpp>
#include <random>

#include "topology/picture_layout.h"
#include "topology/picture_words.h"
#include "topology/systems.h"
#include "topology/topology.h"

namespace tutti {
namespace {

constexpr const char* kSystems[] = {"dgx-h100",
                                    "dgx-h100:4",
                                    "dgx-h100:64",
                                    "mi300x",
                                    "mi300x:2",
                                    "tpu-v5e:4x8",
                                    "tpu-v5e",
                                    "tpu-v5e:2",
                                    "tpu-v5p:4x4x4",
                                    "tpu-v5p",
                                    "trn2",
                                    "trn2:4",
                                    "trn2-ultra",
                                    "gb300-nvl72",
                                    "rail:8x8",
                                    "gb300-nvl72:4",
                                    "dgx-h100:2+mi300x:2",
                                    "fat-tree",
                                    "cs3",
                                    "cs3:16",
                                    "fat-tree:1024",
                                    "groqrack",
                                    "rail:64x8",
                                    "ethernet:1",
                                    "ethernet:300",
                                    "groq-node:3"};

Graph system(const std::string& name) {
  Result<Graph> graph = named_system(name);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return graph.ok() ? std::move(*graph) : Graph{};
}

pugi::xml_document parsed(const std::string& text) {
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size(), pugi::parse_full, pugi::encoding_utf8);
  EXPECT_TRUE(result) << result.description() << " at " << text.substr(static_cast<size_t>(result.offset), 80);
  return document;
}

// What XML 1.0 cannot hold, even escaped.
void expect_no_controls(const std::string& text) {
  for (const char c : text) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') << static_cast<int>(c);
}

void expect_places(const Graph& graph, const std::string& name) {
  const picture::Scene scene = picture::lay_out(graph);
  EXPECT_LE(scene.width, 1260) << name;
  EXPECT_LE(scene.height, 1500) << name;
  EXPECT_LE(scene.items.size(), 700U) << name;
  ASSERT_EQ(scene.item_of.size(), graph.endpoints.size() + graph.switches.size());
  for (const uint32_t item : scene.item_of) EXPECT_LT(item, scene.items.size()) << name;
  for (size_t i = 0; i < scene.items.size(); ++i) {
    const picture::Box& a = scene.items[i].box;
    EXPECT_GE(a.x, -0.5) << name;
    EXPECT_GE(a.y, -0.5) << name;
    EXPECT_LE(a.right(), scene.width + 0.5) << name;
    EXPECT_LE(a.bottom(), scene.height + 0.5) << name;
    for (size_t j = i + 1; j < scene.items.size(); ++j) {
      const picture::Box& b = scene.items[j].box;
      const bool apart = a.right() <= b.x + 0.01 || b.right() <= a.x + 0.01 || a.bottom() <= b.y + 0.01 || b.bottom() <= a.y + 0.01;
      EXPECT_TRUE(apart) << name << ": items " << i << " and " << j << " overlap";
    }
  }
  for (size_t l = 0; l < graph.links.size(); ++l) {
    const uint32_t from = scene.item_of[scene.from_of[l]], to = scene.item_of[scene.to_of[l]];
    EXPECT_EQ(scene.wire_of[l] == picture::kNone, from == to) << name;
  }
}

TEST(Picture, EverythingHasAPlaceOfItsOwnAndSizesAreBounded) {
  for (const char* name : kSystems) expect_places(system(name), name);
}

TEST(Picture, EverySystemIsWellFormed) {
  for (const SystemFamily& family : system_families()) {
    const Graph graph = system(family.name);
    const std::string svg = picture_svg(graph);
    const pugi::xml_document document = parsed(svg);
    EXPECT_STREQ(document.document_element().name(), "svg");
    EXPECT_LT(svg.size(), 900'000U) << family.name;
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_FALSE(document.select_node("//*[local-name()='title'][contains(., 'GB/s')]").node().empty()) << family.name;
  }
}

TEST(Picture, ThePageIsOneFileThatLoadsNothing) {
  const std::string html = picture_html(system("dgx-h100:2+mi300x:2"));
  const pugi::xml_document document = parsed(html);
  EXPECT_STREQ(document.document_element().name(), "html");
  for (const char* loads : {" src=", "href=", "@import", "url(h", "fetch("}) EXPECT_EQ(html.find(loads), std::string::npos) << loads;
  size_t addresses = 0;
  for (size_t at = 0; (at = html.find("http", at)) != std::string::npos; ++at) ++addresses;
  EXPECT_EQ(addresses, 2U) << "the two namespaces";
}

TEST(Picture, EqualGraphsGiveEqualBytes) {
  EXPECT_EQ(picture_html(system("rail:8x8")), picture_html(system("rail:8x8")));
}

TEST(Picture, WhatIsAlikeStandsTogether) {
  const Graph graph = system("dgx-h100:64");
  const std::string svg = picture_svg(graph);
  EXPECT_NE(svg.find(">+60 nodes<"), std::string::npos);
  EXPECT_LT(svg.size(), 200'000U);
  const std::vector<int> ranks = pictured_ranks(graph);
  EXPECT_EQ(ranks.size(), 32U);
  EXPECT_EQ(ranks.front(), 0);
  EXPECT_EQ(ranks.back(), 511);
  EXPECT_EQ(pictured_ranks(system("tpu-v5p:4x4x4")).size(), 64U);
}

TEST(Picture, NamesFromFilesAreEscaped) {
  const std::string evil = "<b onload=\"x\">&'\x01\xff]]></script><script>alert(1)</script>\xed\xa0\x80";
  Graph graph{.name = evil, .source = evil};
  graph.endpoints = {{.id = evil, .device = evil, .vendor = evil, .node = evil, .rank = 0, .island = evil + "i"},
                     {.id = evil + "2", .device = evil, .vendor = evil, .node = evil + "n", .rank = 1}};
  graph.switches = {{.id = evil + "s"}};
  for (const std::string& id : {evil, evil + "2"}) {
    graph.links.push_back({.from = id, .to = evil + "s", .GBps = 1, .latency_us = 1, .kind = evil, .count = 1});
    graph.links.push_back({.from = evil + "s", .to = id, .GBps = 2, .latency_us = 1, .kind = evil, .count = 1});
  }
  const PictureOverlay overlay{.title = evil,
                               .channels = {{.name = evil, .hops = {{.from = 0, .to = 1, .bytes = 8, .links = {0, 3}}}}},
                               .link_bytes = {8, 0, 0, 8},
                               .link_loaded = {0.5, 0, 0, 1}};
  for (const std::string& text : {picture_svg(graph, &overlay), picture_html(graph, &overlay)}) {
    const pugi::xml_document document = parsed(text);
    expect_no_controls(text);
    EXPECT_TRUE(document.select_nodes("//*[local-name()='b'][@onload]").empty());
    EXPECT_LE(document.select_nodes("//*[local-name()='script']").size(), 1U);
    EXPECT_EQ(text.find('\xff'), std::string::npos);
    EXPECT_NE(text.find("&lt;b onload=&quot;x&quot;&gt;&amp;&#39;\xef\xbf\xbd\xef\xbf\xbd]]&gt;"), std::string::npos);
  }
}

TEST(Picture, EscapingKeepsTextAndReplacesWhatXmlCannotHold) {
  EXPECT_EQ(picture::escaped("a<b>&\"'\n\t\xc3\xa9\xe2\x86\x92\xf0\x9f\x8e\xb5"),
            "a&lt;b&gt;&amp;&quot;&#39;\n\t\xc3\xa9\xe2\x86\x92\xf0\x9f\x8e\xb5");
  const std::string lost = "\xef\xbf\xbd";
  EXPECT_EQ(picture::escaped(std::string("\0\x1f\x7f", 3)), lost + lost + "\x7f");
  EXPECT_EQ(picture::escaped("\xc0\x80"), lost + lost) << "an overlong nought";
  EXPECT_EQ(picture::escaped("\xef\xbf\xbe"), lost + lost + lost) << "U+FFFE";
  EXPECT_EQ(picture::escaped("\xe2\x86"), lost + lost) << "cut off";
}

TEST(Picture, LabelsAreCutBetweenCharacters) {
  EXPECT_EQ(picture::fitted("nvswitch", 100, 10), "nvswitch");
  EXPECT_EQ(picture::fitted("nvswitch", 30, 10), "nvsw\xe2\x80\xa6");
  EXPECT_EQ(picture::fitted("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 24, 10), "\xc3\xa9\xc3\xa9\xc3\xa9\xe2\x80\xa6");
  EXPECT_EQ(picture::fitted("nvswitch", 9, 10), "");
}

TEST(Picture, APlanIsLaidOverTheMachine) {
  const Graph graph = system("dgx-h100:2");
  auto topology = Topology::create(graph);
  ASSERT_TRUE(topology.ok());
  const Network& network = (*topology)->network();
  PictureOverlay overlay{.title = "two rings", .channels = {}, .link_bytes = {}, .link_loaded = {}};
  for (const int step : {1, 15}) {
    PictureChannel& channel = overlay.channels.emplace_back(PictureChannel{.name = std::to_string(step), .hops = {}});
    for (int rank = 0; rank < 16; ++rank) {
      const int to = (rank + step) % 16;
      channel.hops.push_back({.from = rank, .to = to, .bytes = 1e6, .links = network.route(rank, to)});
    }
  }
  overlay.channels[1].hops.push_back({.from = 0, .to = 1, .bytes = 1, .links = {4'000'000'000}});  // no link of the graph's
  overlay.link_bytes.assign(graph.links.size(), 2e6);
  overlay.link_loaded.assign(graph.links.size(), 0.97);
  const pugi::xml_document document = parsed(picture_svg(graph, &overlay));
  for (const char* channel : {"ch0", "ch1"}) {
    const std::string query =
        std::string("//*[contains(concat(@class, ' '), '") + channel + " ') or @class='ch " + channel + "']/*[contains(@class, 'hop')]";
    EXPECT_EQ(document.select_nodes(query.c_str()).size(), 16U) << channel;
  }
  EXPECT_FALSE(document.select_nodes("//*[contains(., 'rank 7 \xe2\x86\x92 rank 8')]").empty());
  EXPECT_FALSE(document.select_nodes("//*[contains(., '97 % busy')]").empty());
  EXPECT_FALSE(document.select_nodes("//*[contains(@class, ' l5')]").empty());
}

TEST(Picture, OddGraphsAreDrawnToo) {
  expect_places(Graph{}, "nothing");
  parsed(picture_html(Graph{}));
  Graph lone{.name = "lone", .source = "declared"};
  lone.switches = {{.id = "s"}, {.id = "t"}};
  lone.links = {{.from = "s", .to = "nobody", .GBps = 1, .latency_us = 1, .kind = "x", .count = 1}};
  parsed(picture_svg(lone));
  std::mt19937 random(7);
  for (int i = 0; i < 60; ++i) {
    const int endpoints = 2 + static_cast<int>(random() % 40), switches = static_cast<int>(random() % 12),
              nodes = 1 + static_cast<int>(random() % 9);
    Graph graph{.name = "random " + std::to_string(i), .source = "declared"};
    std::vector<std::string> ids;
    for (int e = 0; e < endpoints; ++e) {
      ids.push_back("e" + std::to_string(e));
      graph.endpoints.push_back({.id = ids.back(),
                                 .device = "host",
                                 .vendor = "cpu",
                                 .node = "n" + std::to_string(random() % static_cast<unsigned>(nodes)),
                                 .rank = e});
    }
    for (int s = 0; s < switches; ++s) {
      ids.push_back("s" + std::to_string(s));
      graph.switches.push_back({.id = ids.back()});
    }
    for (size_t v = 1; v < ids.size(); ++v) {
      for (size_t k = 0; k < 1 + random() % 3; ++k) {
        const std::string& other = ids[random() % v];
        graph.links.push_back(
            {.from = ids[v], .to = other, .GBps = 1.0 + random() % 100, .latency_us = 1, .kind = random() % 2 ? "pcie" : "x", .count = 1});
        graph.links.push_back({.from = other, .to = ids[v], .GBps = 5, .latency_us = 1, .kind = "x", .count = 2});
      }
    }
    const picture::Scene scene = picture::lay_out(graph);
    for (const uint32_t item : scene.item_of) EXPECT_LT(item, scene.items.size()) << graph.name;
    const std::string svg = picture_svg(graph);
    for (const char* number : {"nan ", "nan\"", "inf ", "inf\""}) EXPECT_EQ(svg.find(number), std::string::npos) << graph.name;
    parsed(svg);
  }
}

}  // namespace
}  // namespace tutti
