#include "topology/graph_json.h"

#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>
#include <vector>

#include "topology/json_fields.h"
#include "topology/machine.h"
#include "topology/topology.h"

namespace tutti {
namespace {

using namespace strict_json;

constexpr size_t kMostBytes = size_t{1} << 30;

class Names {
 public:
  void add(const Fields& fields, const std::string& id) {
    if (id.empty()) fields.wrong(fields.name() + ": id is empty: every endpoint and switch needs a name");
    const auto [at, fresh] = first_.emplace(id, fields.name());
    if (!fresh) fields.wrong(fields.name() + " has the id " + in_quotes(id) + ", which " + at->second + " has already: ids must differ");
  }
  void expect(const Fields& fields, const char* key, const std::string& id) const {
    if (first_.count(id) > 0) return;
    fields.wrong(fields.name() + ": " + key + " is " + in_quotes(id) +
                 ", but there is no such endpoint or switch: correct the name, or add it");
  }

 private:
  std::unordered_map<std::string, std::string> first_;
};

Link read_link(Fields& fields, const Names& names) {
  Link link{.from = fields.text("from"), .to = fields.text("to")};
  names.expect(fields, "from", link.from);
  names.expect(fields, "to", link.to);
  if (link.from == link.to) fields.wrong(fields.name() + " joins " + in_quotes(link.from) + " to itself: a link has two ends");
  link.GBps = fields.number("GBps");
  if (!(link.GBps > 0) || !std::isfinite(link.GBps)) {
    fields.wrong(fields.says("GBps", fields.need("GBps")) + " must be above 0: 10^9 bytes/s of one direction");
  }
  link.latency_us = fields.number("latency_us");
  if (!(link.latency_us >= 0) || !std::isfinite(link.latency_us)) {
    fields.wrong(fields.says("latency_us", fields.need("latency_us")) + " must be 0 or more");
  }
  link.kind = fields.text("kind", "");
  link.count = fields.whole("count", 1, 1);
  return link;
}

// 0 or more, and 0 where it is not there.
double read_cost(Fields& fields, const char* key) {
  if (fields.find(key) == nullptr) return 0;
  const double cost = fields.number(key);
  if (!(cost >= 0) || !std::isfinite(cost)) fields.wrong(fields.says(key, fields.need(key)) + " must be 0 (not measured) or more");
  return cost;
}

Costs read_costs(const Json& object) {
  Fields fields(object, "", 0);
  const Costs costs{.message_us = read_cost(fields, "message_us"),
                    .copy_GBps = read_cost(fields, "copy_GBps"),
                    .reduce_GBps = read_cost(fields, "reduce_GBps")};
  fields.refuse_unknown();
  return costs;
}

// Ranks are 0 .. n-1, once each.
void check_ranks(const std::vector<Endpoint>& endpoints) {
  std::vector<size_t> holders;
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.rank >= 0) holders.push_back(endpoints.size());
  }
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const int rank = endpoints[i].rank;
    if (rank < 0) continue;
    const std::string name = "endpoints[" + std::to_string(i) + "] (" + in_quotes(endpoints[i].id) + ") has rank " + std::to_string(rank);
    if (static_cast<size_t>(rank) >= holders.size()) {
      throw Wrong{"endpoints", i, name + ", but only " + std::to_string(holders.size()) + " endpoints have one: number them from 0"};
    }
    size_t& holder = holders[static_cast<size_t>(rank)];
    if (holder != endpoints.size()) throw Wrong{"endpoints", i, name + ", which " + in_quotes(endpoints[holder].id) + " has already"};
    holder = i;
  }
}

// Every two neighbours along an axis are joined both ways, and no link joins endpoints that are none.
void check_axes(const Graph& graph) {
  const Torus torus(graph.axes);
  const int n = static_cast<int>(graph.endpoints.size());
  int64_t places = 1;
  for (const Axis& axis : graph.axes) places = std::min<int64_t>(places * axis.size, std::numeric_limits<int>::max());
  if (places != n) {
    throw Wrong{"axes", 0,
                "the axes have " + std::to_string(places) + " places, but there are " + std::to_string(n) +
                    " endpoints: the axes must name every endpoint, in row-major order"};
  }
  std::unordered_map<std::string, int> number;
  for (int i = 0; i < n; ++i) {
    const Endpoint& endpoint = graph.endpoints[static_cast<size_t>(i)];
    if (endpoint.rank != i) {
      throw Wrong{"endpoints", static_cast<size_t>(i),
                  "endpoints[" + std::to_string(i) + "] (" + in_quotes(endpoint.id) + ") has rank " + std::to_string(endpoint.rank) +
                      ", but with axes ranks follow the order of the endpoints: number them so, or drop the axes"};
    }
    number.emplace(endpoint.id, i);
  }
  std::set<std::pair<int, int>> wanted;
  for (int axis = 0; axis < torus.dimensions(); ++axis) {
    const Axis& a = graph.axes[static_cast<size_t>(axis)];
    for (int i = 0; i < n; ++i) {
      const int place = torus.place(i, axis);
      const int next = place + 1 < a.size ? place + 1 : a.wrap ? 0 : place;
      if (next == place) continue;
      wanted.emplace(i, torus.with_place(i, axis, next));
      wanted.emplace(torus.with_place(i, axis, next), i);
    }
  }
  std::set<std::pair<int, int>> missing = wanted;
  for (size_t l = 0; l < graph.links.size(); ++l) {
    const auto from = number.find(graph.links[l].from), to = number.find(graph.links[l].to);
    if (from == number.end() || to == number.end()) continue;
    const std::pair<int, int> ends(from->second, to->second);
    if (wanted.count(ends) == 0) {
      throw Wrong{"links", l,
                  "links[" + std::to_string(l) + "] joins " + in_quotes(from->first) + " and " + in_quotes(to->first) +
                      ", which are not neighbours along any axis: correct the axes, or drop them"};
    }
    missing.erase(ends);
  }
  if (missing.empty()) return;
  const auto id = [&](int i) { return in_quotes(graph.endpoints[static_cast<size_t>(i)].id); };
  throw Wrong{"axes", 0,
              "no link leads from " + id(missing.begin()->first) + " to " + id(missing.begin()->second) +
                  ", which the axes make neighbours: add it, or drop the axes"};
}

Graph read_graph(const Json& json) {
  Fields root(json, "", 0);
  Graph graph{.name = root.text("name", ""), .source = root.text("source", "declared")};
  Names names;
  for_each(root, "axes", false, [&](Fields& fields) {
    fields.need("size");
    graph.axes.push_back({.size = fields.whole("size", 1, 1), .wrap = fields.flag("wrap")});
  });
  for_each(root, "endpoints", true, [&](Fields& fields) {
    graph.endpoints.push_back({.id = fields.text("id"),
                               .device = fields.text("device", "host"),
                               .vendor = fields.text("vendor", ""),
                               .node = fields.text("node"),
                               .rank = fields.whole("rank", -1, -1),
                               .island = fields.text("island", ""),
                               .forwards = fields.flag("forwards")});
    names.add(fields, graph.endpoints.back().id);
  });
  for_each(root, "switches", false, [&](Fields& fields) {
    graph.switches.push_back({.id = fields.text("id"), .reduces = fields.flag("reduces"), .multicasts = fields.flag("multicasts")});
    names.add(fields, graph.switches.back().id);
  });
  for_each(root, "links", true, [&](Fields& fields) { graph.links.push_back(read_link(fields, names)); });
  if (const Json* const costs = root.find("costs")) {
    if (!costs->is_object()) root.wrong(root.says("costs", *costs) + " must be an object");
    graph.costs = read_costs(*costs);
  }
  root.refuse_unknown();
  check_ranks(graph.endpoints);
  if (!graph.axes.empty()) check_axes(graph);
  return graph;
}

}  // namespace

std::string graph_to_json(const Graph& graph) {
  Json endpoints = Json::array();
  for (const Endpoint& e : graph.endpoints) {
    Json each = {{"id", e.id}, {"device", e.device}, {"vendor", e.vendor}, {"node", e.node}, {"rank", e.rank}};
    if (!e.island.empty()) each["island"] = e.island;
    if (e.forwards) each["forwards"] = true;
    endpoints.push_back(std::move(each));
  }
  Json switches = Json::array();
  for (const Switch& s : graph.switches) switches.push_back({{"id", s.id}, {"reduces", s.reduces}, {"multicasts", s.multicasts}});
  Json links = Json::array();
  for (const Link& l : graph.links) {
    links.push_back({{"from", l.from}, {"to", l.to}, {"GBps", l.GBps}, {"latency_us", l.latency_us}, {"kind", l.kind}, {"count", l.count}});
  }
  Json root;
  root["name"] = graph.name;
  root["source"] = graph.source;
  if (!graph.axes.empty()) {
    root["axes"] = Json::array();
    for (const Axis& axis : graph.axes) root["axes"].push_back({{"size", axis.size}, {"wrap", axis.wrap}});
  }
  root["endpoints"] = std::move(endpoints);
  root["switches"] = std::move(switches);
  root["links"] = std::move(links);
  if (const Costs& costs = graph.costs; !(costs == Costs{})) {
    root["costs"] = {{"message_us", costs.message_us}, {"copy_GBps", costs.copy_GBps}, {"reduce_GBps", costs.reduce_GBps}};
  }
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Graph> graph_from_json(std::string_view text, const std::string& file) {
  return read_strictly<Graph>(text, "topology file " + file, [](const Json& json) {
    Graph graph = read_graph(json);
    const Result<Network> network = Network::create(graph);
    if (!network.ok()) throw Wrong{"", 0, network.status().message()};
    return graph;
  });
}

uint64_t graph_hash(const Graph& graph) {
  return text_hash(graph_to_json(graph));
}

Result<Graph> read_graph_file(const std::string& path) {
  const Result<std::string> text = read_text_file(path, "topology file", kMostBytes);
  if (!text.ok()) return text.status();
  const size_t first = text.value().find_first_not_of(" \n\r\t");
  if (first != std::string::npos && text.value()[first] == '<') {
    const Result<Machine> machine = detect_machine({.xml = path});
    if (!machine.ok()) return machine.status();
    return machine_graph(machine.value());
  }
  return graph_from_json(text.value(), path);
}

}  // namespace tutti
