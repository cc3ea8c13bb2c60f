#include "topology/picture_words.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

constexpr double kCharacter = 0.58;  // a character's width, of the font's size
constexpr const char* kReplacement = "\xef\xbf\xbd";
constexpr const char* kEllipsis = "\xe2\x80\xa6";
constexpr const char* kTimes = " \xc3\x97 ";
constexpr const char* kBothWays = " \xe2\x86\x94 ";

// Bytes of the UTF-8 character that begins at `at`, which XML may hold; 0: none does.
size_t character(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' ? 1 : 0;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + size > text.size()) return 0;
  uint32_t code = first & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(at + i) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool control = code < 0xa0, surrogate = code >= 0xd800 && code < 0xe000;
  return code < kLeast[size] || code > 0x10ffff || control || surrogate || (code & 0xfffe) == 0xfffe ? 0 : size;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = character(text, at);
    switch (size == 1 ? text[at] : '\0') {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += size == 0 ? std::string_view(kReplacement) : text.substr(at, size);
    }
    at += std::max<size_t>(size, 1);
  }
  return out;
}

std::string fitted(std::string_view text, double width, double font) {
  const double room = width / (font * kCharacter);
  std::string out;
  size_t characters = 0, before_last = 0;
  for (size_t at = 0; at < text.size(); ++characters) {
    if (static_cast<double>(characters) + 1 > room) {
      if (room < 3) return "";
      return out.substr(0, before_last) + kEllipsis;
    }
    before_last = out.size();
    const size_t size = std::max<size_t>(character(text, at), 1);
    out += text.substr(at, size);
    at += size;
  }
  return out;
}

std::string rate_text(double GBps) {
  return GBps >= 10000 ? text("%.4g TB/s", GBps / 1000) : text("%.4g GB/s", GBps);
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1000;
  return text("%.3g %s", bytes, kUnits[unit]);
}

Words::Words(const Graph& graph, const Scene& scene, const PictureOverlay* overlay) : graph_(graph), scene_(scene), overlay_(overlay) {
  for (const Item& item : scene.items) {
    if (item.shape != Shape::kNic) continue;
    const std::string name = short_id(item.vertices[0]);
    numbered_nics_ |= static_cast<double>(name.size()) * kSmallFont * kCharacter > item.box.w - 3;
  }
}

const std::string& Words::id(uint32_t vertex) const {
  const size_t endpoints = graph_.endpoints.size();
  return vertex < endpoints ? graph_.endpoints[vertex].id : graph_.switches[vertex - endpoints].id;
}

std::string Words::short_id(uint32_t vertex) const {
  const std::string& name = id(vertex);
  const size_t slash = name.find_last_of('/');
  return slash == std::string::npos || slash + 1 == name.size() ? name : name.substr(slash + 1);
}

std::string Words::label(const Item& item, double font) const {
  const double room = item.box.w - 2;
  if (item.shape == Shape::kMore) return fitted(item.label, room, font);
  const uint32_t vertex = item.vertices[0];
  const std::string name = short_id(vertex);
  if (vertex < graph_.endpoints.size()) {
    const int rank = graph_.endpoints[vertex].rank;
    return fitted(rank < 0 ? name : std::to_string(rank), room, font);
  }
  if (item.shape == Shape::kNic && numbered_nics_) {
    const size_t digits = name.find_last_not_of("0123456789");
    if (digits + 1 < name.size()) return fitted(name.substr(digits + 1), room, font);
  }
  return fitted(name, room, font);
}

double Words::leaving_GBps(uint32_t vertex) const {
  double sum = 0;
  for (size_t l = 0; l < graph_.links.size(); ++l) {
    if (scene_.from_of[l] == vertex) sum += graph_.links[l].GBps * graph_.links[l].count;
  }
  return sum;
}

std::string Words::title_of_endpoint(uint32_t vertex) const {
  const Endpoint& e = graph_.endpoints[vertex];
  std::string out = e.id + "\n" + (e.rank < 0 ? "no rank" : "rank " + std::to_string(e.rank));
  out += ", " + (e.vendor.empty() ? "" : e.vendor + " ") + e.device + "\nnode " + e.node;
  if (!e.island.empty() && e.island != e.node) out += ", island " + e.island;
  if (e.forwards) out += "\npasses others' messages on";
  return out + "\nlinks that leave it: " + rate_text(leaving_GBps(vertex));
}

std::string Words::title_of_many(const Item& item) const {
  std::vector<uint32_t> endpoints, switches;
  int ranks = 0, lowest = INT32_MAX, highest = -1;
  for (const uint32_t v : item.vertices) {
    (v < graph_.endpoints.size() ? endpoints : switches).push_back(v);
    const int rank = v < graph_.endpoints.size() ? graph_.endpoints[v].rank : -1;
    if (rank < 0) continue;
    ++ranks;
    lowest = std::min(lowest, rank);
    highest = std::max(highest, rank);
  }
  std::string out = endpoints.empty() ? "" : plural(endpoints.size(), "endpoint") + (switches.empty() ? "" : ", ");
  if (!switches.empty()) out += plural(switches.size(), "switch");
  const std::vector<uint32_t>& named = endpoints.empty() ? switches : endpoints;
  out += " like the others: " + id(named.front());
  if (named.size() > 1) out += " \xe2\x80\xa6 " + id(named.back());
  if (ranks > 0)
    out += "\n" + plural(static_cast<size_t>(ranks), "rank") + " of " + std::to_string(lowest) + "\xe2\x80\xa6" + std::to_string(highest);
  return out;
}

std::string Words::title(const Item& item) const {
  if (item.shape == Shape::kMore) return title_of_many(item);
  const uint32_t vertex = item.vertices[0];
  if (vertex < graph_.endpoints.size()) return title_of_endpoint(vertex);
  const Switch& s = graph_.switches[vertex - graph_.endpoints.size()];
  std::string out = s.id + "\n" + (item.shape == Shape::kNic ? "NIC" : "switch");
  if (s.reduces || s.multicasts) out += s.reduces && s.multicasts ? ", reduces and multicasts" : s.reduces ? ", reduces" : ", multicasts";
  return out + "\nlinks that leave it: " + rate_text(leaving_GBps(vertex));
}

std::string Words::sort_of(const Link& link) {
  const std::string rate =
      (link.count == 1 ? "" : std::to_string(link.count) + kTimes + text("%.4g = ", link.GBps)) + rate_text(link.GBps * link.count);
  return (link.kind.empty() ? "link" : link.kind) + " " + rate + text(", %.4g us", link.latency_us);
}

// Of several links the busiest.
void Words::add_load(const Wire& wire, std::string& out) const {
  if (overlay_ == nullptr || overlay_->link_loaded.size() != graph_.links.size()) return;
  double bytes[2] = {0, 0}, loaded[2] = {0, 0};
  for (const uint32_t l : wire.links) {
    const size_t back = scene_.item_of[scene_.from_of[l]] == wire.a ? 0 : 1;
    bytes[back] += overlay_->link_bytes[l];
    loaded[back] = std::max(loaded[back], overlay_->link_loaded[l]);
  }
  out += text("\nthe plan: %s, %.3g %% busy; back %s, %.3g %%", bytes_text(bytes[0]).c_str(), 100 * loaded[0], bytes_text(bytes[1]).c_str(),
              100 * loaded[1]);
}

std::string Words::title(const Wire& wire) const {
  const auto name = [&](uint32_t i) {
    const Item& item = scene_.items[i];
    return item.shape == Shape::kMore ? "(" + plural(item.vertices.size(), "thing") + ")" : id(item.vertices[0]);
  };
  std::string out = name(wire.a) + kBothWays + name(wire.b);
  std::map<std::string, std::pair<size_t, size_t>> sorts;  // there and back
  std::vector<std::string> order;
  for (const uint32_t l : wire.links) {
    const std::string sort = sort_of(graph_.links[l]);
    auto [found, added] = sorts.try_emplace(sort, 0, 0);
    if (added) order.push_back(sort);
    (scene_.item_of[scene_.from_of[l]] == wire.a ? found->second.first : found->second.second) += 1;
  }
  if (order.size() > 6) order.resize(6);
  for (const std::string& sort : order) {
    const auto [there, back] = sorts[sort];
    out += "\n" + (there > 1 || back > 1 ? std::to_string(std::max(there, back)) + kTimes : "") + sort;
    out += there == back ? " each way"
           : back == 0   ? " \xe2\x86\x92"
           : there == 0  ? " \xe2\x86\x90"
                         : ", " + std::to_string(std::min(there, back)) + " back";
  }
  add_load(wire, out);
  return out;
}

std::string Words::summary() const {
  std::set<std::string> nodes;
  size_t ranks = 0;
  for (const Endpoint& e : graph_.endpoints) {
    nodes.insert(e.node);
    ranks += e.rank >= 0;
  }
  size_t links = 0;
  for (const Link& link : graph_.links) links += static_cast<size_t>(link.count);
  std::string out = graph_.source + (graph_.source.empty() ? "" : ": ") + plural(graph_.endpoints.size(), "endpoint") + " (" +
                    plural(ranks, "rank") + ") in " + plural(nodes.size(), "node") + ", " +
                    (graph_.switches.empty() ? "" : plural(graph_.switches.size(), "switch") + ", ") + plural(links, "link") +
                    " of one direction each";
  for (size_t a = 0; a < graph_.axes.size(); ++a) {
    out += (a == 0 ? "; axes " : kTimes) + std::to_string(graph_.axes[a].size) + (graph_.axes[a].wrap ? " (wraps)" : "");
  }
  return out;
}

}  // namespace tutti::picture
