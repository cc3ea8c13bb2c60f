// From a laid out piece to a scene: which item stands for a vertex, and the ways of the links between items.
#include "topology/picture_wires.h"

#include <cmath>

namespace tutti::picture {
namespace {

bool is_switch(const Item& item) {
  return item.shape == Shape::kBar || item.shape == Shape::kSwitch || item.shape == Shape::kNic;
}

// Where the line from the centre of `box` towards `to` leaves it.
Point border(const Box& box, Point to) {
  const Point c = box.centre(), d = to - c;
  const double x = d.x == 0 ? 1e9 : (box.w / 2) / std::abs(d.x), y = d.y == 0 ? 1e9 : (box.h / 2) / std::abs(d.y);
  return c + d * std::min({x, y, 1.0});
}

// Where a link from above or below meets an item: a bar anywhere along it, a box of a level nearer to the side that the link comes from.
double port_x(const Item& item, const Item& other, double width) {
  const Box &box = item.box, &far = other.box;
  if (item.shape == Shape::kBar && other.shape == Shape::kBar) {
    return (std::max(box.x, far.x) + std::min(box.right(), far.right())) / 2;
  }
  if (item.shape == Shape::kBar) return std::clamp(far.centre().x, box.x + 4, std::max(box.x + 4, box.right() - 4));
  if (item.shape == Shape::kSwitch && other.shape != Shape::kBar)
    return box.x + box.w * (0.08 + 0.84 * std::clamp(far.centre().x / width, 0.0, 1.0));
  return box.centre().x;
}

Curve way(const Item& a, const Item& b, double width) {
  const bool apart = a.box.bottom() <= b.box.y || b.box.bottom() <= a.box.y;
  const bool levels = a.shape == Shape::kBar || b.shape == Shape::kBar || (is_switch(a) && is_switch(b)) ||
                      (a.shape == Shape::kNic || b.shape == Shape::kNic) || (is_switch(a) && b.shape == Shape::kMore) ||
                      (is_switch(b) && a.shape == Shape::kMore);
  if (levels && apart) {
    const bool below = a.box.y > b.box.y;
    const Point from{port_x(a, b, width), below ? a.box.y : a.box.bottom()};
    return straight(from, {port_x(b, a, width), below ? b.box.bottom() : b.box.y});
  }
  if (levels && std::abs(a.box.centre().x - b.box.centre().x) > a.box.w + 60) {  // past others of its row
    const Point from{a.box.centre().x, a.box.y}, to{b.box.centre().x, b.box.y};
    return {{from, from + Point{0, -26}, to + Point{0, -26}, to}};
  }
  return straight(border(a.box, b.box.centre()), border(b.box, a.box.centre()));
}

}  // namespace

Scene scene_of(const Model& model, Piece piece) {
  Scene scene{.width = piece.width, .height = piece.height};
  scene.item_of.assign(model.vertices, kNone);
  scene.items = std::move(piece.items);
  scene.frames = std::move(piece.frames);
  scene.from_of = model.from;
  scene.to_of = model.to;
  for (uint32_t i = 0; i < scene.items.size(); ++i) {
    for (const uint32_t v : scene.items[i].vertices) scene.item_of[v] = i;
    scene.collapsed |= scene.items[i].shape == Shape::kMore;
  }
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> wire_at;
  for (uint32_t l = 0; l < model.from.size(); ++l) {
    scene.wire_of.push_back(kNone);
    if (model.from[l] == kNone) continue;
    uint32_t a = scene.item_of[model.from[l]], b = scene.item_of[model.to[l]];
    if (a == b || a == kNone || b == kNone) continue;
    if (a > b) std::swap(a, b);
    const auto [found, added] = wire_at.try_emplace({a, b}, static_cast<uint32_t>(scene.wires.size()));
    if (added) {
      const auto curve = piece.curves.find({a, b});
      const Curve drawn = curve != piece.curves.end() ? curve->second : way(scene.items[a], scene.items[b], scene.width);
      scene.wires.push_back({.a = a, .b = b, .curve = drawn, .links = {}});
    }
    scene.wires[found->second].links.push_back(l);
    scene.wire_of.back() = found->second;
  }
  return scene;
}

}  // namespace tutti::picture
