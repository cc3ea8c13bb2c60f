// Where the things of one cluster stand: endpoints in a row over a bar for their switch, a mesh in a circle or as arcs under a row, groups
// around a circle, a torus as a grid. Internal to topology/. Threading: pure functions.
#pragma once

#include <unordered_map>

#include "topology/picture_model.h"
#include "topology/picture_scene.h"

namespace tutti::picture {

struct Room {
  double unit = 34;     // from one endpoint of a row to the next
  double width = 1200;  // that is there
  uint32_t keep = 8;    // how many alike are shown where not all are
  bool alone = true;    // no other cluster needs room
};

Piece lay_inside(const Model& model, const Cluster& cluster, const Room& room);

// A torus or mesh, if the endpoints' places are known (the graph's axes; ids that end in "x,y" or "x,y,z" and links that fit).
bool is_torus(const Model& model, const Cluster& cluster);
Piece lay_torus(const Model& model, const Cluster& cluster, const Room& room);

inline constexpr double kBarHeight = 26;
inline constexpr double kRowGap = 38;  // between rows that links join

// An item for several vertices.
Item more(std::vector<uint32_t> vertices, Box box);

// Which item stands for a vertex.
std::unordered_map<uint32_t, uint32_t> positions(const Piece& piece);

// The items that a vertex is joined to, each once, ascending.
std::vector<uint32_t> joined_items(const Model& model, const std::unordered_map<uint32_t, uint32_t>& item_of, uint32_t vertex);

void shift(Piece& piece, Point by);

// Adds `part` to `whole`, moved.
void append(Piece& whole, Piece part, Point to);

// Pieces around a circle, far enough from each other.
Piece lay_around(std::vector<Piece> parts, double least_radius);

// The ports of a cluster in a row at the top of a piece that has none yet, each over what it is joined to.
void add_ports(const Model& model, const Cluster& cluster, const Room& room, Piece& piece);

}  // namespace tutti::picture
