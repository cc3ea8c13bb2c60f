// What the layouts of one cluster share, and the row of its NICs.
#include <algorithm>
#include <set>

#include "topology/picture_inside.h"
#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

constexpr double kPortHeight = 18;

// Moves boxes of one row, given by their wanted centres, so far that none overlap; keeps their order.
void spread(std::vector<Item>& row, double gap) {
  std::stable_sort(row.begin(), row.end(), [](const Item& a, const Item& b) { return a.box.centre().x < b.box.centre().x; });
  for (size_t i = 1; i < row.size(); ++i) row[i].box.x = std::max(row[i].box.x, row[i - 1].box.right() + gap);
}

// Each switch over what it is joined to; those of hidden endpoints go to these.
std::vector<Item> port_row(const Model& model, const std::vector<uint32_t>& switches, double width, Piece& piece,
                           std::unordered_map<uint32_t, uint32_t>& item_of) {
  std::vector<Item> row;
  for (const uint32_t s : switches) {
    const std::vector<uint32_t> below = joined_items(model, item_of, s);
    if (!below.empty() && std::all_of(below.begin(), below.end(), [&](uint32_t i) { return piece.items[i].shape == Shape::kMore; })) {
      piece.items[below.front()].vertices.push_back(s);
      item_of[s] = below.front();
      continue;
    }
    double x = below.empty() ? piece.width / 2 : 0;
    for (const uint32_t i : below) x += piece.items[i].box.centre().x / static_cast<double>(below.size());
    const bool bar = below.size() > 1 && switches.size() == 1;
    const double own = bar ? piece.width : static_cast<double>(switches.size()) * 60 < piece.width ? std::max(width, 52.0) : width;
    const Box box = around({bar ? piece.width / 2 : x, kPortHeight / 2}, own, bar ? kBarHeight - 4 : kPortHeight);
    row.push_back({.shape = bar ? Shape::kBar : Shape::kNic, .box = box, .vertices = {s}});
  }
  return row;
}

// So that none overlap and the row is about as wide as the piece; of too many only the first and the last.
void fit_row(std::vector<Item>& row, double width, double room) {
  const auto most = static_cast<size_t>(std::max(4.0, std::max(room, 120.0) / (width + 4)));
  spread(row, 4);
  if (row.size() > most) {
    const auto first = row.begin() + static_cast<std::ptrdiff_t>(most) - 3, last = row.end() - 1;
    std::vector<uint32_t> hidden;
    for (auto each = first; each != last; ++each) hidden.push_back(each->vertices[0]);
    *first = more(std::move(hidden), around({0, kPortHeight / 2}, 44, kPortHeight));
    row.erase(first + 1, last);
    double x = 0;
    for (Item& item : row) {
      item.box.x = x;
      x = item.box.right() + 4;
    }
    for (Item& item : row) item.box.x += (room - x + 4) / 2;
    return;
  }
  const double over = std::max(0.0, row.back().box.right() - std::max(room, row.back().box.w));
  for (Item& item : row) item.box.x -= over / 2;
}

}  // namespace

Item more(std::vector<uint32_t> vertices, Box box) {
  Item item{.shape = Shape::kMore, .box = box, .vertices = std::move(vertices)};
  item.label = others(item.vertices.size());
  return item;
}

std::unordered_map<uint32_t, uint32_t> positions(const Piece& piece) {
  std::unordered_map<uint32_t, uint32_t> item_of;
  for (uint32_t i = 0; i < piece.items.size(); ++i) {
    for (const uint32_t v : piece.items[i].vertices) item_of[v] = i;
  }
  return item_of;
}

std::vector<uint32_t> joined_items(const Model& model, const std::unordered_map<uint32_t, uint32_t>& item_of, uint32_t vertex) {
  std::set<uint32_t> items;
  for (const uint32_t v : model.neighbours[vertex]) {
    if (const auto found = item_of.find(v); found != item_of.end()) items.insert(found->second);
  }
  return {items.begin(), items.end()};
}

void shift(Piece& piece, Point by) {
  for (Item& item : piece.items) item.box.x += by.x, item.box.y += by.y;
  for (Frame& frame : piece.frames) frame.box.x += by.x, frame.box.y += by.y;
  for (auto& [pair, curve] : piece.curves) {
    for (Point& at : curve.at) at = at + by;
  }
}

void append(Piece& whole, Piece part, Point to) {
  shift(part, to);
  const auto first = static_cast<uint32_t>(whole.items.size());
  for (auto& [pair, curve] : part.curves) whole.curves[{pair.first + first, pair.second + first}] = curve;
  std::move(part.items.begin(), part.items.end(), std::back_inserter(whole.items));
  std::move(part.frames.begin(), part.frames.end(), std::back_inserter(whole.frames));
  whole.width = std::max(whole.width, to.x + part.width);
  whole.height = std::max(whole.height, to.y + part.height);
}

void add_ports(const Model& model, const Cluster& cluster, const Room& room, Piece& piece) {
  if (cluster.ports.empty()) return;
  auto item_of = positions(piece);
  const double width = std::max(14.0, std::min(room.unit - 4, 56.0));
  // Switches between endpoints and ports first: the ports stand over them.
  for (const std::vector<uint32_t>* const switches : {&cluster.between, &cluster.ports}) {
    std::vector<Item> row = port_row(model, *switches, width, piece, item_of);
    if (row.empty()) continue;
    fit_row(row, width, piece.width);
    const double left = std::min(0.0, row.front().box.x);
    shift(piece, {-left, kPortHeight + kRowGap});
    piece.width = std::max(piece.width, row.back().box.right()) - left;
    for (Item& item : row) {
      item.box.x -= left;
      for (const uint32_t v : item.vertices) item_of[v] = static_cast<uint32_t>(piece.items.size());
      piece.items.push_back(std::move(item));
    }
  }
}

}  // namespace tutti::picture
