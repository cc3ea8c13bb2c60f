// Tori: two axes as rows and columns, the others as layers one below the other, each leaning so that the links between layers stand apart.
// What wraps is an arc. Of long axes the first places and the last are shown.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "topology/picture_inside.h"
#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

// The places of a cluster's endpoints: row, column and layer of each, and how many there are of these.
struct Places {
  std::vector<std::array<int, 3>> of;  // of cluster.endpoints
  std::array<int, 3> size{1, 1, 1};
};

// Axes beyond the third are folded into it.
std::array<int, 3> folded(const std::vector<int>& at, const std::vector<int>& size) {
  if (at.size() == 1) return {0, at[0], 0};
  std::array<int, 3> place{at[0], at[1], 0};
  for (size_t axis = 2; axis < at.size(); ++axis) place[2] = place[2] * size[axis] + at[axis];
  return place;
}

std::optional<std::vector<int>> numbers_of(const std::string& id) {
  std::vector<int> numbers{0};
  int digits = 0;
  for (const char c : id.substr(id.find_last_of('/') + 1)) {
    if (c == ',' && digits > 0) {
      numbers.push_back(0);
      digits = 0;
    } else if (c >= '0' && c <= '9' && ++digits < 6) {
      numbers.back() = numbers.back() * 10 + (c - '0');
    } else {
      return std::nullopt;
    }
  }
  return digits > 0 && numbers.size() > 1 ? std::optional(numbers) : std::nullopt;
}

// From the ids: each place taken once, and no link that leaves its axis.
std::optional<std::vector<std::vector<int>>> coordinates_by_id(const Model& model, const Cluster& cluster) {
  std::vector<std::vector<int>> all;
  std::map<uint32_t, size_t> index;
  for (const uint32_t e : cluster.endpoints) {
    auto numbers = numbers_of(model.id(e));
    if (!numbers || (!all.empty() && numbers->size() != all[0].size())) return std::nullopt;
    index[e] = all.size();
    all.push_back(std::move(*numbers));
  }
  if (std::set(all.begin(), all.end()).size() != all.size()) return std::nullopt;
  bool linked = false;
  for (const auto& [e, i] : index) {
    for (const uint32_t v : model.neighbours[e]) {
      const auto other = index.find(v);
      if (other == index.end()) continue;
      int differ = 0;
      for (size_t axis = 0; axis < all[i].size(); ++axis) differ += all[i][axis] != all[other->second][axis];
      if (differ != 1) return std::nullopt;
      linked = true;
    }
  }
  return linked ? std::optional(all) : std::nullopt;
}

std::optional<std::vector<std::vector<int>>> coordinates(const Model& model, const Cluster& cluster) {
  const std::vector<Axis>& axes = model.graph->axes;
  double places = 1;
  for (const Axis& axis : axes) places *= axis.size;
  const auto n = static_cast<double>(cluster.endpoints.size());
  if (axes.empty() || cluster.endpoints.size() != model.endpoints || places != n) return coordinates_by_id(model, cluster);
  std::vector<std::vector<int>> all;
  for (size_t i = 0; i < cluster.endpoints.size(); ++i) {
    std::vector<int> at(axes.size());
    size_t rest = i;
    for (size_t axis = axes.size(); axis-- > 0;) {
      at[axis] = static_cast<int>(rest % static_cast<size_t>(axes[axis].size));
      rest /= static_cast<size_t>(axes[axis].size);
    }
    all.push_back(std::move(at));
  }
  return all;
}

std::optional<Places> places_of(const Model& model, const Cluster& cluster) {
  if (cluster.endpoints.size() < 3) return std::nullopt;
  const auto all = coordinates(model, cluster);
  if (!all) return std::nullopt;
  std::vector<int> size((*all)[0].size(), 1);
  for (const auto& at : *all) {
    for (size_t axis = 0; axis < at.size(); ++axis) size[axis] = std::max(size[axis], at[axis] + 1);
  }
  Places places;
  for (const auto& at : *all) {
    places.of.push_back(folded(at, size));
    for (size_t axis = 0; axis < 3; ++axis) places.size[axis] = std::max(places.size[axis], places.of.back()[axis] + 1);
  }
  // Ids with holes in them are no grid.
  const double volume = static_cast<double>(places.size[0]) * places.size[1] * places.size[2];
  return volume == static_cast<double>(all->size()) ? std::optional(places) : std::nullopt;
}

// The places along an axis that are shown: the first ones, one for all that are left out, and the last.
struct ShownAxis {
  int size = 0;  // of what is shown
  int hidden_from = 0, hidden = 0;

  ShownAxis(int places, int most) : size(std::min(places, most)) {
    if (places <= most) return;
    hidden_from = most - 2;
    hidden = places - most + 1;
  }
  int shown(int place) const { return hidden == 0 || place < hidden_from ? place : place < hidden_from + hidden ? hidden_from : size - 1; }
  bool is_gap(int at) const { return hidden > 0 && at == hidden_from; }
};

class TorusLayout {
 public:
  TorusLayout(const Model& model, const Cluster& cluster, const Room& room, Places places)
      : model_(model),
        cluster_(cluster),
        places_(std::move(places)),
        flat_(places_.size[2] == 1),
        axes_{ShownAxis(places_.size[0], most(room)), ShownAxis(places_.size[1], most(room)), ShownAxis(places_.size[2], most(room))} {
    const double columns = axes_[1].size;
    if (flat_) {
      item_ = {.w = 34, .h = 24};
      step_x_ = room.alone ? std::clamp(room.width / columns, 52.0, 96.0) : 48;
      step_y_ = room.alone ? (axes_[0].size > 8 ? 48 : 62) : 44;
    } else {
      item_ = {.w = 34, .h = 20};
      step_x_ = room.alone ? std::clamp(900 / columns, 100.0, 150.0) : 84;
      step_y_ = 36;
      lean_ = std::min(40.0, (step_x_ - item_.w) / std::max(1, axes_[0].size - 1));
    }
    layer_ = axes_[0].size * step_y_ + 46;
  }

  Piece lay() {
    for (size_t i = 0; i < cluster_.endpoints.size(); ++i) place(cluster_.endpoints[i], places_.of[i]);
    for (size_t i = 0; i < cluster_.endpoints.size(); ++i) join(cluster_.endpoints[i]);
    if (flat_) frame_nodes();
    piece_.width = 2 * margin() + item_.w + (axes_[1].size - 1) * step_x_ + (axes_[0].size - 1) * lean_;
    if (!flat_) frame_layers();
    return std::move(piece_);
  }

 private:
  using Place = std::array<int, 3>;

  Place shown(const Place& at) const { return {axes_[0].shown(at[0]), axes_[1].shown(at[1]), axes_[2].shown(at[2])}; }

  int most(const Room& room) const { return flat_ ? (room.alone ? 16 : 8) : room.alone ? 5 : 4; }

  // At both sides room for the arcs of the rows that wrap.
  double margin() const { return flat_ ? 30 : 50; }

  Point centre(const Place& at) const {
    return {margin() + item_.w / 2 + at[1] * step_x_ + at[0] * lean_, (flat_ ? 26 : 34) + at[0] * step_y_ + at[2] * layer_};
  }

  void place(uint32_t endpoint, const Place& at) {
    const Place where = shown(at);
    const auto [found, added] = item_at_.try_emplace(where, static_cast<uint32_t>(piece_.items.size()));
    if (added) {
      const bool gap = axes_[0].is_gap(where[0]) || axes_[1].is_gap(where[1]) || axes_[2].is_gap(where[2]);
      Item item{.shape = gap ? Shape::kMore : Shape::kEndpoint, .box = around(centre(where), gap ? 26 : item_.w, gap ? 16 : item_.h)};
      if (gap) item.label = "\xe2\x8b\xaf";  // three dots
      piece_.items.push_back(std::move(item));
    }
    piece_.items[found->second].vertices.push_back(endpoint);
    where_[endpoint] = where;
  }

  // Neighbours in the picture are joined straight; others by an arc on the side of their axis.
  void join(uint32_t endpoint) {
    const Place a = where_[endpoint];
    for (const uint32_t other : model_.neighbours[endpoint]) {
      const auto found = where_.find(other);
      if (found == where_.end()) continue;
      const Place b = found->second;
      if (item_at_[a] >= item_at_[b]) continue;
      const int rows = std::abs(a[0] - b[0]), columns = std::abs(a[1] - b[1]), layers = std::abs(a[2] - b[2]);
      if (rows + columns + layers <= 1) continue;
      const Box from = piece_.items[item_at_[a]].box, to = piece_.items[item_at_[b]].box;
      Curve& curve = piece_.curves[{item_at_[a], item_at_[b]}];
      if (columns > 0) {
        const double rise = std::min((step_y_ - item_.h) * 0.9, 30.0);
        const Point p{from.centre().x + 6, from.y}, q{to.centre().x - 6, to.y};
        curve = {{p, p + Point{10, -rise}, q + Point{-10, -rise}, q}};
      } else if (rows > 0) {
        const double out = std::min((step_x_ - item_.w) * 0.8, 34.0);
        const Point p{from.right(), from.centre().y + 4}, q{to.right(), to.centre().y - 4};
        curve = {{p, p + Point{out, 8}, q + Point{out, -8}, q}};
      } else {
        // Between the straight links of this row and the next.
        const double out = lean_ > 0 ? lean_ / 2 - 8 : 26;
        const Point p{from.centre().x - 8, from.bottom()}, q{to.centre().x - 8, to.y};
        curve = {{p, p + Point{-out * 4 / 3, 40}, q + Point{-out * 4 / 3, -40}, q}};
      }
    }
  }

  // Hosts of several chips that stand in one block of the grid.
  void frame_nodes() {
    if (cluster_.nodes.size() < 2 || cluster_.nodes.size() == cluster_.endpoints.size()) return;
    for (const auto& node : cluster_.nodes) {
      Place low = where_[node[0]], high = low;
      std::set<Place> taken;
      for (const uint32_t e : node) {
        const Place at = where_[e];
        taken.insert(at);
        for (size_t axis = 0; axis < 3; ++axis) low[axis] = std::min(low[axis], at[axis]), high[axis] = std::max(high[axis], at[axis]);
      }
      const int block = (high[0] - low[0] + 1) * (high[1] - low[1] + 1);
      if (static_cast<int>(taken.size()) != block) continue;
      const Point a = centre(low), b = centre(high);
      const double x = item_.w / 2 + 5, y = item_.h / 2 + 5;
      const std::string& name = model_.graph->endpoints[node[0]].node;
      piece_.frames.push_back({.box = {a.x - x, a.y - y, b.x - a.x + 2 * x, b.y - a.y + 2 * y}, .label = "", .title = name, .faint = true});
    }
  }

  void frame_layers() {
    for (int layer = 0; layer < axes_[2].size; ++layer) {
      const Point a = centre({0, 0, layer}), b = centre({axes_[0].size - 1, axes_[1].size - 1, layer});
      const double x = item_.w / 2 + 34;
      const bool gap = axes_[2].is_gap(layer);
      const int place = layer < axes_[2].hidden_from || axes_[2].hidden == 0 ? layer : places_.size[2] - axes_[2].size + layer;
      const std::string name = gap ? plural(static_cast<size_t>(axes_[2].hidden), "layer") + " more" : "layer " + std::to_string(place);
      const double lean = (axes_[0].size - 1) * lean_;
      piece_.frames.push_back({.box = {a.x - x, a.y - item_.h / 2 - 14, b.x - lean - a.x + 2 * x, b.y - a.y + item_.h + 24},
                               .label = name,
                               .title = name,
                               .shear = lean,
                               .faint = true});
    }
  }

  const Model& model_;
  const Cluster& cluster_;
  Places places_;
  bool flat_;
  std::array<ShownAxis, 3> axes_;
  Box item_;
  double step_x_ = 0, step_y_ = 0, lean_ = 0, layer_ = 0;
  std::map<Place, uint32_t> item_at_;
  std::map<uint32_t, Place> where_;
  Piece piece_;
};

}  // namespace

bool is_torus(const Model& model, const Cluster& cluster) {
  return places_of(model, cluster).has_value();
}

Piece lay_torus(const Model& model, const Cluster& cluster, const Room& room) {
  return TorusLayout(model, cluster, room, *places_of(model, cluster)).lay();
}

}  // namespace tutti::picture
