#include "topology/describe_graph.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "topology/text_lines.h"

namespace tutti {
namespace {

// "a", "a, b", "x/a .. z": some names, the first and the last; of that, where they are long, without the path that both have.
std::string names(const std::vector<std::string>& list) {
  if (list.size() == 1) return list[0];
  constexpr size_t kRoom = 40;
  const std::string &first = list.front(), &last = list.back();
  size_t shared = 0;
  for (size_t i = 0; first.size() + last.size() + 4 > kRoom && i < std::min(first.size(), last.size()) && first[i] == last[i]; ++i) {
    if (first[i] == '/') shared = i + 1;
  }
  return first + (list.size() == 2 ? ", " : " .. ") + last.substr(shared);
}

// "8 x nvidia cuda", "2 x cpu host, 1 x amd hip"
std::string contents(const std::map<std::string, size_t>& kinds) {
  std::string out;
  for (const auto& [kind, count] : kinds) out.append(out.empty() ? "" : ", ").append(std::to_string(count)).append(" x ").append(kind);
  return out;
}

// Groups of endpoints that have a name (nodes, islands), those of equal contents on one line.
void groups(const Graph& graph, const char* noun, std::string Endpoint::*name, std::string& out) {
  std::vector<std::string> order;
  std::unordered_map<std::string, std::map<std::string, size_t>> inside;
  for (const Endpoint& e : graph.endpoints) {
    if ((e.*name).empty()) continue;
    auto& kinds = inside[e.*name];
    if (kinds.empty()) order.push_back(e.*name);
    ++kinds[(e.vendor.empty() ? "" : e.vendor + " ") + e.device];
  }
  std::vector<std::pair<std::string, std::vector<std::string>>> alike;
  for (const std::string& each : order) {
    const std::string kinds = contents(inside[each]);
    const auto found = std::find_if(alike.begin(), alike.end(), [&](const auto& group) { return group.first == kinds; });
    if (found != alike.end()) {
      found->second.push_back(each);
    } else {
      alike.push_back({kinds, {each}});
    }
  }
  for (const auto& [kinds, members] : alike) {
    line(out, text("  %-34s ", (plural(members.size(), noun) + " of " + kinds).c_str()) + names(members));
  }
}

void show_switches(const Graph& graph, std::string& out) {
  std::vector<std::pair<std::string, std::vector<std::string>>> alike;
  for (const Switch& s : graph.switches) {
    std::string kind = name_class(s.id);
    if (s.reduces || s.multicasts) {
      kind += s.reduces && s.multicasts ? ", reduces and multicasts" : s.reduces ? ", reduces" : ", multicasts";
    }
    const auto found = std::find_if(alike.begin(), alike.end(), [&](const auto& group) { return group.first == kind; });
    if (found != alike.end()) {
      found->second.push_back(s.id);
    } else {
      alike.push_back({kind, {s.id}});
    }
  }
  for (const auto& [kind, members] : alike) line(out, text("  %5zu x %-26s ", members.size(), kind.c_str()) + names(members));
}

// Each kind of link by what it joins, with how many of them one of its starts has.
void show_links(const Graph& graph, std::string& out) {
  std::unordered_map<std::string, std::string> class_of_id;
  for (const Endpoint& e : graph.endpoints) class_of_id[e.id] = "endpoint";
  for (const Switch& s : graph.switches) class_of_id[s.id] = name_class(s.id);
  using Key = std::tuple<std::string, std::string, std::string, double, double, int>;
  std::vector<Key> order;
  std::map<Key, std::unordered_map<std::string, size_t>> from;  // how many each start has
  for (const Link& l : graph.links) {
    const Key key{class_of_id[l.from], class_of_id[l.to], l.kind, l.GBps, l.latency_us, l.count};
    auto& starts = from[key];
    if (starts.empty()) order.push_back(key);
    ++starts[l.from];
  }
  std::stable_partition(order.begin(), order.end(), [](const Key& key) { return std::get<0>(key) == "endpoint"; });
  line(out, text("  %-23s %-11s %15s %9s  %s", "from -> to", "kind", "GB/s one way", "us", "each has"));
  for (const Key& key : order) {
    const auto& [a, b, kind, GBps, latency, count] = key;
    size_t least = SIZE_MAX, most = 0;
    for (const auto& [id, number] : from[key]) {
      least = std::min(least, number);
      most = std::max(most, number);
    }
    const std::string each = least == most ? std::to_string(most) : std::to_string(least) + "-" + std::to_string(most);
    const std::string rate = count == 1 ? text("%.4g", GBps) : text("%d x %.4g", count, GBps);
    line(out, text("  %-23s %-11s %15s %9.4g  %s", (a + " -> " + b).c_str(), kind.c_str(), rate.c_str(), latency, each.c_str()));
  }
}

std::string torus_words(const std::vector<Axis>& axes) {
  std::string shape, wraps;
  for (size_t a = 0; a < axes.size(); ++a) {
    shape.append(a == 0 ? "" : "x").append(std::to_string(axes[a].size));
    if (axes[a].wrap) wraps.append(wraps.empty() ? "" : " and ").append(std::to_string(a));
  }
  return shape + (wraps.empty() ? " mesh, no axis wraps" : " torus, axes that wrap: " + wraps);
}

std::string escaped(const std::string& id) {
  std::string out = "\"";
  for (const char c : id) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

std::string describe_graph(const Graph& graph) {
  std::string out;
  size_t links = 0;
  for (const Link& l : graph.links) links += static_cast<size_t>(l.count);
  const auto ranks = std::count_if(graph.endpoints.begin(), graph.endpoints.end(), [](const Endpoint& e) { return e.rank >= 0; });
  line(out, (graph.name.empty() ? "(no name)" : graph.name) + ", " + graph.source);
  line(out, plural(graph.endpoints.size(), "endpoint") + " (" + plural(static_cast<size_t>(ranks), "rank") + "), " +
                plural(graph.switches.size(), "switch") + ", " + plural(links, "link") + " of one direction");
  if (!graph.axes.empty()) line(out, torus_words(graph.axes));
  line(out, "");
  line(out, "Endpoints");
  groups(graph, "node", &Endpoint::node, out);
  groups(graph, "island", &Endpoint::island, out);
  if (!graph.switches.empty()) {
    line(out, "");
    line(out, "Switches");
    show_switches(graph, out);
  }
  if (!graph.links.empty()) {
    line(out, "");
    line(out, "Links");
    show_links(graph, out);
  }
  return out;
}

std::string graph_to_dot(const Graph& graph) {
  std::string out =
      "graph " + escaped(graph.name) + " {\n  layout=neato; overlap=false; splines=true;\n  node [fontsize=10]; edge [fontsize=8];\n";
  std::vector<std::string> nodes;
  std::unordered_map<std::string, std::vector<const Endpoint*>> inside;
  for (const Endpoint& e : graph.endpoints) {
    if (inside[e.node].empty()) nodes.push_back(e.node);
    inside[e.node].push_back(&e);
  }
  for (size_t n = 0; n < nodes.size(); ++n) {
    out += "  subgraph cluster_" + std::to_string(n) + " {\n    label=" + escaped(nodes[n]) + ";\n";
    for (const Endpoint* e : inside[nodes[n]]) {
      const std::string rank = e->rank < 0 ? "" : "\\nrank " + std::to_string(e->rank);
      const std::string label = escaped(e->id);
      out += "    " + label + " [shape=box, label=" + label.substr(0, label.size() - 1) + rank + "\"];\n";
    }
    out += "  }\n";
  }
  for (const Switch& s : graph.switches) out += "  " + escaped(s.id) + " [shape=ellipse];\n";
  using Key = std::tuple<std::string, std::string, double, double, std::string, int>;
  std::map<Key, int> unmatched;  // links whose opposite is still to come
  for (const Link& l : graph.links) ++unmatched[{l.from, l.to, l.GBps, l.latency_us, l.kind, l.count}];
  for (const Link& l : graph.links) {
    int& here = unmatched[{l.from, l.to, l.GBps, l.latency_us, l.kind, l.count}];
    if (here == 0) continue;
    --here;
    const auto back = unmatched.find({l.to, l.from, l.GBps, l.latency_us, l.kind, l.count});
    const bool both = back != unmatched.end() && back->second > 0;
    if (both) --back->second;
    const std::string label =
        (l.count == 1 ? "" : std::to_string(l.count) + " x ") + text("%.4g GB/s %.4g us ", l.GBps, l.latency_us) + l.kind;
    out += "  " + escaped(l.from) + " -- " + escaped(l.to) + " [label=" + escaped(label) + (both ? "" : ", dir=forward") + "];\n";
  }
  return out + "}\n";
}

}  // namespace tutti
