// Which machines look the same from every rank.
#include "topology/symmetry.h"

#include <gtest/gtest.h>

#include <numeric>

#include "topology/cluster.h"
#include "topology/systems.h"

namespace tutti {
namespace {

std::unique_ptr<const Topology> system_topology(const char* name) {
  Result<Graph> graph = named_system(name);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return std::move(*Topology::create(std::move(*graph)));
}

std::optional<Symmetry> first_symmetry(const Topology& topology) {
  for (const std::vector<int>& radices : Symmetry::likely_radices(topology)) {
    if (std::optional<Symmetry> found = Symmetry::find(topology.network(), radices)) return found;
  }
  return std::nullopt;
}

// Shifting is a group; the route to a rank crosses the same classes, however far the two are shifted, wherever routes of least latency are
// unique.
void expect_sound(const Topology& topology, const Symmetry& symmetry, bool unique_routes) {
  const int n = topology.nranks();
  for (int a = 0; a < n; a += 1 + n / 7) {
    EXPECT_EQ(symmetry.shifted(a, symmetry.inverse(a)), 0);
    for (int b = 0; b < n; b += 1 + n / 5) {
      EXPECT_EQ(symmetry.shifted(a, b), symmetry.shifted(b, a));
      if (!unique_routes) continue;
      const std::vector<uint32_t> from_0 = topology.network().route(0, b), from_a = topology.network().route(a, symmetry.shifted(a, b));
      ASSERT_EQ(from_0.size(), from_a.size());
      for (size_t i = 0; i < from_0.size(); ++i) EXPECT_EQ(symmetry.class_of(from_0[i]), symmetry.class_of(from_a[i]));
    }
  }
  int edges = 0;
  for (int c = 0; c < symmetry.classes(); ++c) {
    edges += symmetry.edges_in_class(static_cast<uint32_t>(c));
    EXPECT_EQ(symmetry.class_of(symmetry.edge_of_class(static_cast<uint32_t>(c))), static_cast<uint32_t>(c));
  }
  EXPECT_EQ(edges, static_cast<int>(topology.network().edges().size()));
}

TEST(Symmetry, NamedSystemsOfOneKindHaveIt) {
  for (const char* name : {"dgx-h100", "mi300x", "dgx-h100:4", "dgx-h100:3", "gb300-nvl72:2", "ethernet:5", "rail:4", "groq-node"}) {
    SCOPED_TRACE(name);
    const auto topology = system_topology(name);
    const std::optional<Symmetry> symmetry = first_symmetry(*topology);
    ASSERT_TRUE(symmetry);
    expect_sound(*topology, *symmetry, true);
  }
}

TEST(Symmetry, AWrappedTorusHasOneClassForEveryDirection) {
  const auto topology = system_topology("tpu-v5e:16x16");
  const std::optional<Symmetry> symmetry = first_symmetry(*topology);
  ASSERT_TRUE(symmetry);
  EXPECT_EQ(symmetry->classes(), 4);
  expect_sound(*topology, *symmetry, false);
}

TEST(Symmetry, AMeshAndAMixtureHaveNone) {
  for (const char* name : {"tpu-v5e:4x8", "dgx-h100:1+mi300x:1"}) EXPECT_FALSE(first_symmetry(*system_topology(name))) << name;
}

TEST(Symmetry, OneHostHasEveryNumbering) {
  const auto topology = single_host_topology(8);
  EXPECT_TRUE(Symmetry::find(topology->network(), {8}));
  EXPECT_TRUE(Symmetry::find(topology->network(), {2, 2, 2}));
  EXPECT_TRUE(Symmetry::find(topology->network(), {4, 2}));
}

TEST(Symmetry, SixteenThousand) {
  const auto topology = system_topology("tpu-v5e:128x128,wrap=11");
  const std::optional<Symmetry> symmetry = first_symmetry(*topology);
  ASSERT_TRUE(symmetry);
  EXPECT_EQ(symmetry->classes(), 4);
}

}  // namespace
}  // namespace tutti
