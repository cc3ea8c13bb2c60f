#include "topology/graph_json.h"

#include <nlohmann/json.hpp>

namespace tutti {

std::string graph_to_json(const Graph& graph) {
  using Json = nlohmann::ordered_json;  // keys in the contract's order: people read this too
  Json endpoints = Json::array();
  for (const Endpoint& e : graph.endpoints) {
    endpoints.push_back({{"id", e.id}, {"device", e.device}, {"vendor", e.vendor}, {"node", e.node}, {"rank", e.rank}});
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
  root["endpoints"] = std::move(endpoints);
  root["switches"] = std::move(switches);
  root["links"] = std::move(links);
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tutti
