#include "topology/picture_layout.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "topology/picture_inside.h"
#include "topology/picture_model.h"
#include "topology/picture_wires.h"
#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

constexpr double kWidth = 1240;  // what the clusters may take
constexpr double kHead = 20;     // of a cluster's frame
constexpr double kCardWidth = 74;
constexpr double kLevelHeight = 30;
constexpr uint32_t kAll = 1000000;

// One cluster, or several that stand together.
struct Slot {
  uint32_t first = 0;
  uint32_t count = 1;
};

// How much is shown: groups of clusters below the same switches, clusters of one kind in a group, nodes of an island; and how large.
struct Detail {
  uint32_t groups = kAll;
  uint32_t clusters = kAll;
  uint32_t nodes = kAll;
  double unit = 34;

  double gap() const { return unit < 20 ? 8 : 12; }  // between clusters
};

// Inside a cluster's frame.
double padding(const Room& room) {
  return !room.alone && room.unit < 20 ? 6 : 9;
}

class Layout {
 public:
  explicit Layout(const Graph& graph) : model_(model_of(graph)) {}

  Scene make() {
    if (model_.clusters.size() == 1) {
      Room room{.unit = 34, .width = kWidth - 20, .keep = 6, .alone = true};
      append(piece_, framed(0, room), {0, 0});
    } else if (model_.levels.empty()) {
      lay_ring();
    } else {
      find_groups();
      lay_row(choose_detail());
    }
    lay_levels();
    return scene_of(model_, std::move(piece_));
  }

 private:
  const Cluster& cluster(uint32_t i) const { return model_.clusters[i]; }

  // A cluster in its frame. Of a lone endpoint with nothing else the frame would say nothing.
  Piece framed(uint32_t i, const Room& room) const {
    Piece inner = lay_inside(model_, cluster(i), room), out;
    const std::string& name = cluster(i).name;
    const double pad = padding(room), width = std::max(inner.width + 2 * pad, room.alone ? 180.0 : 40.0);
    out.frames.push_back({.box = {0, 0, width, inner.height + kHead + pad + 4}, .label = name, .title = name});
    append(out, std::move(inner), {(width - inner.width) / 2, kHead + 4});
    out.width = out.frames[0].box.w;
    out.height = out.frames[0].box.h;
    return out;
  }

  Piece card(const Slot& slot) const {
    Item item{.shape = Shape::kMore, .box = {0, 0, kCardWidth, 64}};
    for (uint32_t i = slot.first; i < slot.first + slot.count; ++i) {
      const Cluster& c = cluster(i);
      for (const auto* const part : {&c.endpoints, &c.ports, &c.between, &c.inside})
        item.vertices.insert(item.vertices.end(), part->begin(), part->end());
    }
    item.label = others(slot.count, cluster(slot.first).nodes.size() > 1 ? "island" : "node");
    Piece piece{.width = kCardWidth, .height = 64};
    piece.items.push_back(std::move(item));
    return piece;
  }

  // Clusters joined directly: around a circle.
  void lay_ring() {
    const auto count = static_cast<uint32_t>(model_.clusters.size());
    std::vector<Piece> parts;
    const bool lone = std::all_of(model_.clusters.begin(), model_.clusters.end(),
                                  [](const Cluster& c) { return c.endpoints.size() == 1 && c.ports.empty(); });
    const uint32_t keep = lone ? 28 : 10;
    auto shown = collapse(count, keep, [&](uint32_t i) { return cluster(i).kind; });
    if (shown.size() > keep + 8) shown = collapse(count, keep, [](uint32_t) { return std::string(); });
    for (const Shown& each : shown) {
      parts.push_back(each.count > 1 ? card({each.first, each.count})
                                     : framed(each.first, {.unit = 34, .width = 300, .keep = 3, .alone = false}));
    }
    append(piece_, lay_around(std::move(parts), 150), {0, 0});
  }

  void find_groups() {
    std::vector<uint32_t> previous;
    for (uint32_t i = 0; i < model_.clusters.size(); ++i) {
      std::set<uint32_t> above;
      for (const auto* const part : {&cluster(i).endpoints, &cluster(i).ports}) {
        for (const uint32_t v : *part) {
          for (const uint32_t next : model_.neighbours[v]) {
            if (model_.cluster_of[next] < 0) above.insert(next);
          }
        }
      }
      const std::vector<uint32_t> parents(above.begin(), above.end());
      if (i == 0 || parents != previous) groups_.push_back({i, 0});
      ++groups_.back().count;
      previous = parents;
    }
  }

  std::string kind_of_group(uint32_t g) const {
    std::string kind = std::to_string(groups_[g].count);
    for (uint32_t i = 0; i < groups_[g].count; ++i) kind += ";" + cluster(groups_[g].first + i).kind;
    return kind;
  }

  std::vector<Slot> slots(const Detail& detail) const {
    std::vector<Slot> all;
    // Where hardly two are alike, to be alike is no longer asked.
    const bool strict = detail.groups == kAll || detail.groups > 3;
    const auto group_kind = [&](uint32_t g) { return strict ? kind_of_group(g) : std::string(); };
    for (const Shown& groups : collapse(static_cast<uint32_t>(groups_.size()), detail.groups, group_kind)) {
      const uint32_t first = groups_[groups.first].first;
      if (groups.count > 1) {
        const Slot& last = groups_[groups.first + groups.count - 1];
        all.push_back({first, last.first + last.count - first});
        continue;
      }
      const auto kind = [&](uint32_t i) { return strict || detail.clusters > 3 ? cluster(first + i).kind : std::string(); };
      for (const Shown& shown : collapse(groups_[groups.first].count, detail.clusters, kind))
        all.push_back({first + shown.first, shown.count});
    }
    return all;
  }

  Room room_of(const Detail& detail) const { return {.unit = detail.unit, .width = kWidth, .keep = detail.nodes, .alone = false}; }

  double width_of(const std::vector<Slot>& all, const Detail& detail) const {
    std::map<std::string, double> known;
    double width = 0;
    for (const Slot& slot : all) {
      double& own = known[slot.count > 1 ? "" : cluster(slot.first).kind];
      if (own == 0) own = slot.count > 1 ? kCardWidth : framed(slot.first, room_of(detail)).width;
      if ((width += own + detail.gap()) > 4 * kWidth) break;
    }
    return width - detail.gap();
  }

  // The most that fits, first in full, then with fewer of what is alike, then smaller.
  Detail choose_detail() const {
    const auto fits = [&](const Detail& detail) { return width_of(slots(detail), detail) <= kWidth; };
    // The least that a rank's number fits into.
    const double least = 6 + 5.6 * static_cast<double>(std::to_string(model_.endpoints).size());
    for (const double unit : {44.0, 34.0, 28.0, 24.0, 20.0, 17.0}) {
      if (const Detail detail{.unit = unit}; unit >= least && model_.clusters.size() <= 80 && fits(detail)) return detail;
    }
    for (const std::vector<double>& units : {std::vector<double>{34.0, 28.0}, {std::clamp(least, 20.0, 28.0)}}) {
      for (const uint32_t groups : {kAll, 8u, 6u, 4u, 3u, 2u}) {
        for (const uint32_t clusters : {kAll, 16u, 12u, 10u, 8u, 6u, 5u, 4u, 3u, 2u}) {
          for (const uint32_t nodes : {8u, 5u, 3u, 2u}) {
            for (const double unit : units) {
              if (const Detail detail{groups, clusters, nodes, unit}; fits(detail)) return detail;
            }
          }
        }
      }
    }
    return {2, 2, 2, 17};
  }

  void lay_row(const Detail& detail) {
    double x = 0, deepest = 0;
    std::string island;
    const double down =
        std::any_of(model_.clusters.begin(), model_.clusters.end(), [](const Cluster& c) { return !c.island.empty(); }) ? 24 : 0;
    std::vector<size_t> cards;  // items
    for (const Slot& slot : slots(detail)) {
      const std::string& own = slot.count > 1 ? std::string() : cluster(slot.first).island;
      if (!own.empty() && own == island) {
        piece_.frames[island_frame_].box.w = x - piece_.frames[island_frame_].box.x;  // grows below
      } else if (!own.empty()) {
        x += 6;
        island_frame_ = piece_.frames.size();
        piece_.frames.push_back({.box = {x - 6, 0, 0, 0}, .label = own, .title = own});
      }
      island = own;
      Piece part = slot.count > 1 ? card(slot) : framed(slot.first, room_of(detail));
      const double width = part.width;
      if (slot.count > 1) cards.push_back(piece_.items.size());
      append(piece_, std::move(part), {x, down});
      deepest = std::max(deepest, piece_.height);
      if (!own.empty()) {
        Box& box = piece_.frames[island_frame_].box;
        box.w = x + width + 6 - box.x;
        box.h = std::max(box.h, piece_.height + 6);
      }
      x += width + detail.gap();
    }
    for (const size_t item : cards) piece_.items[item].box.h = std::min(deepest - down, 150.0);
  }

  // --- the switches above

  struct Above {
    uint32_t vertex = 0;
    double left = 1e9, right = -1e9, sum = 0;
    int below = 0;
    bool hidden = false;
  };

  Above above(uint32_t s, const std::vector<uint32_t>& item_of) const {
    Above a{.vertex = s};
    bool shown = false;
    for (const uint32_t v : model_.neighbours[s]) {
      if (item_of[v] == kNone) continue;
      const Item& item = piece_.items[item_of[v]];
      shown |= item.shape != Shape::kMore;
      a.left = std::min(a.left, item.box.x);
      a.right = std::max(a.right, item.box.right());
      a.sum += item.box.centre().x;
      ++a.below;
    }
    a.hidden = a.below > 0 && !shown && piece_.items.size() > 1;
    if (a.below == 0) a.left = 0, a.right = piece_.width, a.sum = piece_.width / 2, a.below = 1;
    return a;
  }

  void lay_levels() {
    std::vector<uint32_t> item_of(model_.vertices, kNone);
    for (uint32_t i = 0; i < piece_.items.size(); ++i) {
      for (const uint32_t v : piece_.items[i].vertices) item_of[v] = i;
    }
    double y = 0;
    for (const std::vector<uint32_t>& level : model_.levels) {
      std::vector<Above> row;
      std::map<double, std::vector<uint32_t>> hidden;  // by where they hang
      for (const uint32_t s : level) {
        const Above a = above(s, item_of);
        if (a.hidden) {
          hidden[a.sum / a.below].push_back(s);
        } else {
          row.push_back(a);
        }
      }
      std::stable_sort(row.begin(), row.end(), [](const Above& a, const Above& b) { return a.sum / a.below < b.sum / b.below; });
      const size_t first = piece_.items.size();
      y -= lay_level(row, hidden, y) + kLevelHeight;
      for (size_t i = first; i < piece_.items.size(); ++i) {
        for (const uint32_t v : piece_.items[i].vertices) item_of[v] = static_cast<uint32_t>(i);
      }
    }
    Piece moved;
    append(moved, std::move(piece_), {0, -y});
    piece_ = std::move(moved);
  }

  // One level with its bottom above y; the gap that it leaves below.
  double lay_level(const std::vector<Above>& row, const std::map<double, std::vector<uint32_t>>& hidden, double y) {
    bool disjoint = true;
    for (size_t i = 1; i < row.size(); ++i) disjoint &= row[i].left >= row[i - 1].right - 1;
    double gap = disjoint ? 44 : std::min(120.0, 60 + 6 * static_cast<double>(row.size()));
    const double top = y - gap - kLevelHeight;
    if (disjoint) {
      for (size_t i = 0; i < row.size(); ++i) {
        const double least = std::min(130.0, piece_.width), width = std::max(row[i].right - row[i].left, row.size() == 1 ? least : 40.0);
        Box box = around({(row[i].left + row[i].right) / 2, top + kLevelHeight / 2}, width, kLevelHeight);
        if (row.size() == 1 && row[i].below > 1) box.x = row[i].left, box.w = std::max(width, row[i].right - row[i].left);
        box.x = std::max(0.0, box.x);
        piece_.items.push_back({.shape = Shape::kBar, .box = box, .vertices = {row[i].vertex}});
      }
    } else {
      lay_boxes(row, top);
    }
    for (const auto& [x, switches] : hidden) {
      Item item{.shape = Shape::kMore, .box = around({x, top + kLevelHeight / 2}, kCardWidth, kLevelHeight), .vertices = switches};
      item.label = others(switches.size(), name_class(model_.id(switches[0])));
      if (switches.size() == 1) item.label = name_class(model_.id(switches[0]));
      piece_.items.push_back(std::move(item));
    }
    return gap;
  }

  void lay_boxes(const std::vector<Above>& row, double top) {
    const auto shown = collapse(static_cast<uint32_t>(row.size()), 14, [&](uint32_t i) { return name_class(model_.id(row[i].vertex)); });
    const double step = piece_.width / static_cast<double>(shown.size());
    for (size_t i = 0; i < shown.size(); ++i) {
      const Box box =
          around({(static_cast<double>(i) + 0.5) * step, top + kLevelHeight / 2}, std::clamp(step - 14, 30.0, 120.0), kLevelHeight);
      Item item{.shape = shown[i].count > 1 ? Shape::kMore : Shape::kSwitch, .box = box};
      for (uint32_t k = 0; k < shown[i].count; ++k) item.vertices.push_back(row[shown[i].first + k].vertex);
      if (shown[i].count > 1) item.label = others(shown[i].count, name_class(model_.id(item.vertices[0])));
      piece_.items.push_back(std::move(item));
    }
  }

  Model model_;
  std::vector<Slot> groups_;
  size_t island_frame_ = 0;
  Piece piece_;
};

}  // namespace

Scene lay_out(const Graph& graph) {
  return Layout(graph).make();
}

}  // namespace tutti::picture
