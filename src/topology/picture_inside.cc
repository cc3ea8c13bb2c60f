#include "topology/picture_inside.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

constexpr double kItemHeight = 24;
constexpr double kPi = 3.14159265358979323846;

bool has_direct_links(const Model& model, const std::vector<uint32_t>& endpoints) {
  const std::set<uint32_t> members(endpoints.begin(), endpoints.end());
  return std::any_of(endpoints.begin(), endpoints.end(), [&](uint32_t e) {
    const auto& around = model.neighbours[e];
    return std::any_of(around.begin(), around.end(), [&](uint32_t v) { return members.count(v) != 0; });
  });
}

std::string kind_of_endpoint(const Model& model, uint32_t e) {
  return model.graph->endpoints[e].vendor + " " + model.graph->endpoints[e].device;
}

// Endpoints of some nodes side by side; where there are several nodes, each in a frame of its own.
class Row {
 public:
  Row(const Model& model, const Cluster& cluster, const Room& room, Piece& piece)
      : model_(model), cluster_(cluster), room_(room), piece_(piece) {}

  // Nodes [begin, end) of the cluster; its width.
  double lay(size_t begin, size_t end, double y) {
    const bool several = cluster_.nodes.size() > 1;
    const auto count = static_cast<uint32_t>(end - begin);
    double x = 0;
    const auto node_kind = [&](uint32_t n) {
      const auto& node = cluster_.nodes[begin + n];
      return std::to_string(node.size()) + kind_of_endpoint(model_, node[0]);
    };
    for (const Shown& shown : collapse(count, several ? room_.keep : count, node_kind)) {
      if (shown.count > 1) {
        x = card(begin + shown.first, shown.count, x, y);
        continue;
      }
      const std::vector<uint32_t>& node = cluster_.nodes[begin + shown.first];
      const double left = x;
      if (several) x += kPad;
      for (const Shown& each : collapse(static_cast<uint32_t>(node.size()), several ? 8 : most_,
                                        [&](uint32_t i) { return kind_of_endpoint(model_, node[i]); })) {
        const double width = each.count > 1 ? std::max(44.0, room_.unit * 1.4) : room_.unit - (room_.unit < 20 ? 3 : 4);
        const Box box{x + 1.5, y, width, kItemHeight};
        const std::vector<uint32_t> members(node.begin() + each.first, node.begin() + each.first + each.count);
        piece_.items.push_back(each.count > 1 ? more(members, box) : Item{.shape = Shape::kEndpoint, .box = box, .vertices = members});
        x += width + (room_.unit < 20 ? 3 : 4);
      }
      if (!several) continue;
      x += kPad;
      const std::string& name = model_.graph->endpoints[node[0]].node;
      piece_.frames.push_back({.box = {left, y - kPad - 12, x - left, kItemHeight + 2 * kPad + 12}, .label = name, .title = name});
      x += kPad;
    }
    return several ? x - kPad : x;
  }

  void limit(uint32_t most) { most_ = most; }

 private:
  static constexpr double kPad = 5, kCard = 72;

  double card(size_t first, size_t count, double x, double y) {
    std::vector<uint32_t> members;
    for (size_t n = first; n < first + count; ++n) members.insert(members.end(), cluster_.nodes[n].begin(), cluster_.nodes[n].end());
    Item item = more(std::move(members), {x, y - kPad - 12, kCard, kItemHeight + 2 * kPad + 12});
    item.label = others(count, "node");
    piece_.items.push_back(std::move(item));
    return x + kCard + kPad;
  }

  const Model& model_;
  const Cluster& cluster_;
  const Room& room_;
  Piece& piece_;
  uint32_t most_ = 1000;
};

double bottom_of(const Piece& piece) {
  double bottom = 0;
  for (const Item& item : piece.items) bottom = std::max(bottom, item.box.bottom());
  for (const Frame& frame : piece.frames) bottom = std::max(bottom, frame.box.bottom());
  for (const auto& [pair, curve] : piece.curves)
    bottom = std::max(bottom, (curve.at[0].y + 3 * curve.at[1].y + 3 * curve.at[2].y + curve.at[3].y) / 8);
  return bottom;
}

// A switch below (or between) rows: a bar as wide as what it joins.
void add_bars(const Model& model, const std::vector<uint32_t>& switches, double y, Piece& piece) {
  constexpr uint32_t kMostBars = 3;
  const auto item_of = positions(piece);
  if (switches.size() > kMostBars) {
    const auto kind = [&](uint32_t i) { return name_class(model.id(switches[i])); };
    const auto shown = collapse(static_cast<uint32_t>(switches.size()), 8, kind);
    const double step = std::max(26.0, piece.width / static_cast<double>(shown.size()));
    for (size_t i = 0; i < shown.size(); ++i) {
      const std::vector<uint32_t> members(switches.begin() + shown[i].first, switches.begin() + shown[i].first + shown[i].count);
      const Box box = around({(static_cast<double>(i) + 0.5) * step, y + kBarHeight / 2}, std::min(90.0, step - 6), kBarHeight);
      piece.items.push_back(shown[i].count > 1 ? more(members, box) : Item{.shape = Shape::kSwitch, .box = box, .vertices = members});
    }
    piece.width = std::max(piece.width, step * static_cast<double>(shown.size()));
    return;
  }
  for (const uint32_t s : switches) {
    double left = piece.width, right = 0;
    for (const uint32_t i : joined_items(model, item_of, s)) {
      left = std::min(left, piece.items[i].box.x);
      right = std::max(right, piece.items[i].box.right());
    }
    if (right < left) left = 0, right = piece.width;
    const double width = std::max(right - left, 70.0);
    Box box = around({(left + right) / 2, y + kBarHeight / 2}, width, kBarHeight);
    box.x = std::max(0.0, box.x);
    piece.items.push_back({.shape = Shape::kBar, .box = box, .vertices = {s}});
    piece.width = std::max(piece.width, box.right());
    y += kBarHeight + 14;
  }
}

// All in one row, or, where one cluster fills the picture, in two with the switch between them.
Piece lay_rows(const Model& model, const Cluster& cluster, Room room) {
  Piece piece;
  const size_t nodes = cluster.nodes.size(), endpoints = cluster.endpoints.size();
  const double top = nodes > 1 ? 18 : 0;
  const bool roomy = room.alone && cluster.ports.empty();
  const double gaps = nodes > 1 ? static_cast<double>(nodes) * 15 : 0;
  const auto fitting = [&](size_t rows) {
    return (room.width - gaps / static_cast<double>(rows)) * static_cast<double>(rows) / static_cast<double>(endpoints);
  };
  Row row(model, cluster, room, piece);
  const bool two = roomy && nodes > 1 && cluster.inside.size() == 1 && fitting(1) < 26 && fitting(2) >= 22;
  if (room.alone) {
    const double fits = fitting(two ? 2 : 1);
    if (fits >= 22 || two) room.keep = static_cast<uint32_t>(nodes);
    if (fits < 22 && !two) row.limit(static_cast<uint32_t>(room.width / 30) - 3);
    room.unit = std::clamp(fits, 30.0, 64.0);
    if (two) room.unit = std::clamp(fits, 22.0, 40.0);
  } else {
    row.limit(16);
  }
  if (two) {
    const size_t half = (nodes + 1) / 2;
    piece.width = row.lay(0, half, top);
    const double bar = bottom_of(piece) + kRowGap;
    row.lay(half, nodes, bar + kBarHeight + kRowGap + top);
    add_bars(model, cluster.inside, bar, piece);
  } else {
    piece.width = row.lay(0, nodes, top);
    if (!cluster.inside.empty()) add_bars(model, cluster.inside, bottom_of(piece) + kRowGap, piece);
  }
  return piece;
}

// A row with the links between neighbours, however far, as arcs below it.
Piece lay_arcs(const Model& model, const Cluster& cluster, const Room& room) {
  Piece piece;
  Row row(model, cluster, room, piece);
  row.limit(16);
  piece.width = row.lay(0, cluster.nodes.size(), cluster.nodes.size() > 1 ? 18 : 0);
  const auto item_of = positions(piece);
  for (uint32_t i = 0; i < piece.items.size(); ++i) {
    const Box from = piece.items[i].box;
    std::set<uint32_t> ends;
    for (const uint32_t v : piece.items[i].vertices) {
      for (const uint32_t j : joined_items(model, item_of, v)) ends.insert(j);
    }
    for (const uint32_t j : ends) {
      if (j <= i) continue;
      const Box to = piece.items[j].box;
      const double span = to.centre().x - from.centre().x, depth = 14 + std::min(span, 420.0) * 0.34;
      // Ends fan out, the far ones on the outside of the near ones' inner side, so that no two arcs of an item coincide.
      const double off = std::min(from.w / 2 - 2, 2 + span / 40);
      const Point a{from.centre().x + off, from.bottom()}, b{to.centre().x - off, to.bottom()};
      piece.curves[{i, j}] = {{a, {a.x + span * 0.1, a.y + depth}, {b.x - span * 0.1, b.y + depth}, b}};
    }
  }
  if (!cluster.inside.empty()) add_bars(model, cluster.inside, bottom_of(piece) + kRowGap, piece);
  return piece;
}

Piece single(Item item) {
  Piece piece{.width = item.box.w, .height = item.box.h};
  item.box.x = item.box.y = 0;
  piece.items.push_back(std::move(item));
  return piece;
}

Piece lay_circle(const Model& model, const std::vector<uint32_t>& endpoints, double width, double least_radius, uint32_t keep) {
  std::vector<Piece> parts;
  for (const Shown& shown :
       collapse(static_cast<uint32_t>(endpoints.size()), keep, [&](uint32_t i) { return kind_of_endpoint(model, endpoints[i]); })) {
    const std::vector<uint32_t> members(endpoints.begin() + shown.first, endpoints.begin() + shown.first + shown.count);
    const Box box{0, 0, shown.count > 1 ? std::max(44.0, width) : width, kItemHeight};
    parts.push_back(single(shown.count > 1 ? more(members, box) : Item{.shape = Shape::kEndpoint, .box = box, .vertices = members}));
  }
  return lay_around(std::move(parts), least_radius);
}

void add_centre(const std::vector<uint32_t>& switches, Piece& piece) {
  double y = piece.height / 2 - 18 * static_cast<double>(std::min<size_t>(switches.size(), 6) - 1);
  for (size_t i = 0; i < switches.size(); ++i, y += 36) {
    Item item{.shape = Shape::kSwitch, .box = around({piece.width / 2, y}, 84, kBarHeight), .vertices = {switches[i]}};
    if (i == 5 && switches.size() > 6) {
      item = more({switches.begin() + 5, switches.end()}, item.box);
      i = switches.size();
    }
    piece.items.push_back(std::move(item));
  }
}

// Each node's endpoints in a small circle, the nodes around a large one.
Piece lay_groups(const Model& model, const Cluster& cluster, const Room& room) {
  const bool single_endpoints = cluster.nodes.size() == cluster.endpoints.size();
  if (single_endpoints) return lay_circle(model, cluster.endpoints, 46, room.alone ? 170 : 70, 28);
  std::vector<Piece> parts;
  const auto kind = [&](uint32_t n) { return std::to_string(cluster.nodes[n].size()); };
  for (const Shown& shown : collapse(static_cast<uint32_t>(cluster.nodes.size()), room.alone ? 11 : 3, kind)) {
    if (shown.count > 1) {
      std::vector<uint32_t> members;
      for (uint32_t n = shown.first; n < shown.first + shown.count; ++n)
        members.insert(members.end(), cluster.nodes[n].begin(), cluster.nodes[n].end());
      Item item = more(std::move(members), {0, 0, 90, 60});
      item.label = others(shown.count, "node");
      parts.push_back(single(std::move(item)));
      continue;
    }
    Piece inner = lay_circle(model, cluster.nodes[shown.first], 30, 44, 8), framed;
    const std::string& name = model.graph->endpoints[cluster.nodes[shown.first][0]].node;
    framed.width = inner.width + 16;
    framed.height = inner.height + 30;
    framed.frames.push_back({.box = {0, 0, framed.width, framed.height}, .label = name, .title = name});
    append(framed, std::move(inner), {8, 22});
    parts.push_back(std::move(framed));
  }
  return lay_around(std::move(parts), 60);
}

}  // namespace

Piece lay_around(std::vector<Piece> parts, double least_radius) {
  constexpr double kStretch = 1.3, kMargin = 12;
  const size_t n = parts.size();
  std::vector<Box> boxes(n);
  const auto place = [&](double radius) {
    for (size_t i = 0; i < n; ++i) {
      const double angle =
          2 * kPi * static_cast<double>(i) / static_cast<double>(n) - kPi / 2 - (n % 2 == 0 && n > 2 ? -kPi / static_cast<double>(n) : 0);
      boxes[i] = around({radius * kStretch * std::cos(angle), radius * std::sin(angle)}, parts[i].width, parts[i].height);
    }
  };
  const auto overlap = [&] {
    for (size_t i = 0; i < n && n > 1; ++i) {
      const Box &a = boxes[i], &b = boxes[(i + 1) % n];
      if (a.x < b.right() + kMargin && b.x < a.right() + kMargin && a.y < b.bottom() + kMargin && b.y < a.bottom() + kMargin) return true;
    }
    return false;
  };
  double radius = n == 1 ? 0 : least_radius;
  for (place(radius); overlap(); place(radius)) radius = radius * 1.06 + 1;
  Piece whole;
  Point least{0, 0};
  for (const Box& box : boxes) least = {std::min(least.x, box.x), std::min(least.y, box.y)};
  for (size_t i = 0; i < n; ++i) append(whole, std::move(parts[i]), {boxes[i].x - least.x, boxes[i].y - least.y});
  return whole;
}

Piece lay_inside(const Model& model, const Cluster& cluster, const Room& room) {
  Piece piece;
  if (is_torus(model, cluster)) {
    piece = lay_torus(model, cluster, room);
    if (!cluster.inside.empty()) add_bars(model, cluster.inside, bottom_of(piece) + kRowGap, piece);
  } else if (!has_direct_links(model, cluster.endpoints)) {
    piece = lay_rows(model, cluster, room);
  } else if (cluster.nodes.size() > 1) {
    piece = lay_groups(model, cluster, room);
    if (!cluster.inside.empty()) add_centre(cluster.inside, piece);
  } else if (room.alone && cluster.ports.empty()) {
    piece = lay_circle(model, cluster.endpoints, 52, 150, 28);
    if (!cluster.inside.empty()) add_centre(cluster.inside, piece);
  } else {
    piece = lay_arcs(model, cluster, room);
  }
  add_ports(model, cluster, room, piece);
  piece.height = bottom_of(piece);
  for (const Item& item : piece.items) piece.width = std::max(piece.width, item.box.right());
  return piece;
}

}  // namespace tutti::picture
