// What a picture shows and where: made by picture_layout, drawn by picture_svg. Lengths are CSS pixels, y grows downwards.
// Internal to topology/. Threading: value types.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tutti::picture {

inline constexpr uint32_t kNone = 0xffffffffu;

struct Point {
  double x = 0;
  double y = 0;
};

inline Point operator+(Point a, Point b) {
  return {a.x + b.x, a.y + b.y};
}
inline Point operator-(Point a, Point b) {
  return {a.x - b.x, a.y - b.y};
}
inline Point operator*(Point a, double by) {
  return {a.x * by, a.y * by};
}

struct Box {
  double x = 0;
  double y = 0;
  double w = 0;
  double h = 0;

  double right() const { return x + w; }
  double bottom() const { return y + h; }
  Point centre() const { return {x + w / 2, y + h / 2}; }
};

inline Box around(Point centre, double w, double h) {
  return {centre.x - w / 2, centre.y - h / 2, w, h};
}

// A cubic; a straight line has its inner points on it.
struct Curve {
  Point at[4];
};

inline Curve straight(Point a, Point b) {
  return {{a, a + (b - a) * (1.0 / 3), a + (b - a) * (2.0 / 3), b}};
}

enum class Shape : uint8_t {
  kEndpoint,
  kNic,     // a switch through which a cluster reaches others
  kSwitch,  // a box
  kBar,     // a switch as wide as what hangs on it
  kMore,    // many that are alike
};

struct Item {
  Shape shape = Shape::kEndpoint;
  Box box;
  std::vector<uint32_t> vertices = {};  // what it stands for: endpoints first, then switches, as in Network
  std::string label = {};               // kMore: what it says; else the drawing finds one
};

// A node, an island, a layer of a torus: behind its items.
struct Frame {
  Box box;
  std::string label = {};
  std::string title = {};
  double shear = 0;  // how far the bottom edge is shifted to the right
  bool faint = false;
};

// All links between two items.
struct Wire {
  uint32_t a = 0;
  uint32_t b = 0;
  Curve curve;
  std::vector<uint32_t> links;  // by index in the graph, both directions
};

struct Scene {
  double width = 0;
  double height = 0;
  std::vector<Item> items = {};
  std::vector<Frame> frames = {};
  std::vector<Wire> wires = {};
  std::vector<uint32_t> item_of = {};  // of every vertex
  std::vector<uint32_t> wire_of = {};  // of every link; kNone: inside one item, or it names nobody
  std::vector<uint32_t> from_of = {};  // the vertex that a link leaves, and the one that it enters
  std::vector<uint32_t> to_of = {};
  bool collapsed = false;  // some items stand for many
};

// A part of a scene that was laid out by itself, with its corner at (0, 0).
struct Piece {
  double width = 0;
  double height = 0;
  std::vector<Item> items = {};
  std::vector<Frame> frames = {};
  // Ways that are not straight, by the items' positions in `items`, the lesser first.
  std::map<std::pair<uint32_t, uint32_t>, Curve> curves = {};
};

}  // namespace tutti::picture
