// The machine as a picture: SVG without scripts (numbers by hovering, the channels of a plan by pointing at the legend), or one HTML file
// around it (tooltips, channels to pick, links by load). Nothing is loaded from anywhere. Light and dark as the viewer prefers.
//
// Equal things stand together: of many nodes the first and the last are drawn and a card for the others, so that a picture's size is
// bounded whatever the machine's.
//
//   picture_model    what belongs together: clusters (nodes, islands) with their NICs and switches, and the levels of switches above
//   picture_layout   where everything stands: a Scene (picture_scene.h); picture_inside for one cluster, picture_torus for a torus
//   picture_svg      draws a Scene; picture_html wraps it
//
// Deterministic: equal graphs give equal bytes. What comes from files is escaped; the output is well-formed XML.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/graph.h"

namespace tutti {

// What a plan sends from one rank to another on one channel.
struct PictureHop {
  int from = 0;
  int to = 0;
  double bytes = 0;
  std::vector<uint32_t> links;  // its way, by index in the graph
};

struct PictureChannel {
  std::string name;
  std::vector<PictureHop> hops;
};

// A plan to lay over the machine.
struct PictureOverlay {
  std::string title;
  std::vector<PictureChannel> channels;
  std::vector<double> link_bytes;   // of each of the graph's links; empty: not known
  std::vector<double> link_loaded;  // the part of the time that it is busy, 0..1; likewise
};

// The ranks that have a box of their own: the hops of others need not be given.
std::vector<int> pictured_ranks(const Graph& graph);

// Links that name nobody are left out. `overlay` may be null.
std::string picture_svg(const Graph& graph, const PictureOverlay* overlay = nullptr);
std::string picture_html(const Graph& graph, const PictureOverlay* overlay = nullptr);

}  // namespace tutti
