#include "topology/picture_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "topology/picture_scene.h"
#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

bool is_network(const std::string& kind) {
  return kind == "ethernet" || kind == "infiniband" || kind == "roce" || kind == "efa" || kind == "network" || kind == "uplink";
}

class ModelBuilder {
 public:
  explicit ModelBuilder(const Graph& graph) : graph_(graph) {
    model_.graph = &graph;
    model_.endpoints = static_cast<uint32_t>(graph.endpoints.size());
    model_.vertices = model_.endpoints + static_cast<uint32_t>(graph.switches.size());
  }

  Model build() {
    find_links();
    find_clusters();
    claim_switches();
    sort_switches();
    find_levels();
    for (Cluster& cluster : model_.clusters) cluster.kind = kind_of(cluster);
    return std::move(model_);
  }

 private:
  void find_links() {
    std::unordered_map<std::string, uint32_t> number;
    for (uint32_t v = 0; v < model_.vertices; ++v) number.emplace(model_.id(v), v);
    std::vector<std::set<uint32_t>> neighbours(model_.vertices);
    on_pcie_.resize(model_.vertices);
    off_network_.resize(model_.vertices, false);
    for (const Link& link : graph_.links) {
      const auto from = number.find(link.from), to = number.find(link.to);
      const bool known = from != number.end() && to != number.end() && from != to;
      model_.from.push_back(known ? from->second : kNone);
      model_.to.push_back(known ? to->second : kNone);
      if (!known) continue;
      neighbours[from->second].insert(to->second);
      neighbours[to->second].insert(from->second);
      if (link.kind == "pcie") {
        on_pcie_[from->second].push_back(to->second);
        on_pcie_[to->second].push_back(from->second);
      }
      if (!is_network(link.kind)) off_network_[from->second] = off_network_[to->second] = true;
    }
    for (const auto& each : neighbours) model_.neighbours.emplace_back(each.begin(), each.end());
  }

  // An island is one cluster where it is in one node, or its endpoints are joined directly across nodes, or all hang on one switch.
  bool holds_together(const std::vector<uint32_t>& endpoints) const {
    const std::string& node = graph_.endpoints[endpoints[0]].node;
    if (std::all_of(endpoints.begin(), endpoints.end(), [&](uint32_t e) { return graph_.endpoints[e].node == node; })) return true;
    const std::set<uint32_t> members(endpoints.begin(), endpoints.end());
    std::map<uint32_t, size_t> reached;
    for (const uint32_t e : endpoints) {
      for (const uint32_t other : model_.neighbours[e]) {
        if (members.count(other) != 0 && graph_.endpoints[other].node != graph_.endpoints[e].node) return true;
        if (!model_.is_endpoint(other) && ++reached[other] == endpoints.size()) return off_network_[other];
      }
    }
    return false;
  }

  void find_clusters() {
    std::map<std::string, std::vector<uint32_t>> islands;
    for (uint32_t e = 0; e < model_.endpoints; ++e) {
      if (!graph_.endpoints[e].island.empty()) islands[graph_.endpoints[e].island].push_back(e);
    }
    std::map<std::string, bool> whole;
    for (const auto& [name, members] : islands) whole[name] = holds_together(members);
    std::map<std::pair<bool, std::string>, int> numbers;
    model_.cluster_of.assign(model_.vertices, -1);
    for (uint32_t e = 0; e < model_.endpoints; ++e) {
      const Endpoint& endpoint = graph_.endpoints[e];
      const bool by_island = !endpoint.island.empty() && whole[endpoint.island];
      const std::string& name = by_island ? endpoint.island : endpoint.node;
      const auto [found, added] = numbers.try_emplace({by_island, name}, static_cast<int>(model_.clusters.size()));
      if (added) {
        const bool part = !by_island && !endpoint.island.empty() && endpoint.island != endpoint.node;
        model_.clusters.push_back({.name = name, .island = part ? endpoint.island : ""});
      }
      model_.clusters[static_cast<size_t>(found->second)].endpoints.push_back(e);
      model_.cluster_of[e] = found->second;
    }
    for (Cluster& cluster : model_.clusters) {
      std::map<std::string, size_t> node_numbers;
      for (const uint32_t e : cluster.endpoints) {
        const auto [found, added] = node_numbers.try_emplace(graph_.endpoints[e].node, cluster.nodes.size());
        if (added) cluster.nodes.emplace_back();
        cluster.nodes[found->second].push_back(e);
      }
    }
  }

  // The one cluster that all of `candidates` that have one are of; -1: none or several.
  int common_cluster(const std::vector<uint32_t>& candidates) const {
    int common = -1;
    for (const uint32_t v : candidates) {
      const int cluster = model_.cluster_of[v];
      if (cluster < 0) continue;
      if (common >= 0 && cluster != common) return -1;
      common = cluster;
    }
    return common;
  }

  // A switch is a cluster's where its endpoints are all of that cluster, unless its likes (by name) join several; and where it is joined to
  // one of the cluster's switches by PCIe: a NIC.
  void claim_switches() {
    std::set<std::string> shared;
    std::vector<int> claimed(model_.vertices, -1);
    for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
      std::vector<uint32_t> own;
      for (const uint32_t v : model_.neighbours[s]) {
        if (model_.is_endpoint(v)) own.push_back(v);
      }
      claimed[s] = common_cluster(own);
      if (claimed[s] < 0 && !own.empty()) shared.insert(name_class(model_.id(s)));
    }
    for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
      if (claimed[s] >= 0 && shared.count(name_class(model_.id(s))) == 0) model_.cluster_of[s] = claimed[s];
    }
    for (bool again = true; again;) {
      again = false;
      for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
        if (model_.cluster_of[s] >= 0) continue;
        model_.cluster_of[s] = common_cluster(on_pcie_[s]);
        again |= model_.cluster_of[s] >= 0;
      }
    }
  }

  void sort_switches() {
    std::vector<bool> leaves(model_.vertices, false);
    for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
      const auto& around = model_.neighbours[s];
      leaves[s] = std::any_of(around.begin(), around.end(), [&](uint32_t v) { return model_.cluster_of[v] != model_.cluster_of[s]; });
    }
    for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
      if (model_.cluster_of[s] < 0) continue;
      Cluster& cluster = model_.clusters[static_cast<size_t>(model_.cluster_of[s])];
      const bool next =
          std::any_of(on_pcie_[s].begin(), on_pcie_[s].end(), [&](uint32_t v) { return !model_.is_endpoint(v) && leaves[v]; });
      (leaves[s] ? cluster.ports : next ? cluster.between : cluster.inside).push_back(s);
    }
  }

  void find_levels() {
    std::vector<uint32_t> level;
    std::vector<bool> placed(model_.vertices, false);
    for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
      if (model_.cluster_of[s] >= 0) continue;
      const auto& around = model_.neighbours[s];
      if (std::any_of(around.begin(), around.end(), [&](uint32_t v) { return model_.cluster_of[v] >= 0; })) level.push_back(s);
    }
    while (!level.empty()) {
      for (const uint32_t s : level) placed[s] = true;
      std::set<uint32_t> above;
      for (const uint32_t s : level) {
        for (const uint32_t v : model_.neighbours[s]) {
          if (model_.cluster_of[v] < 0 && !placed[v]) above.insert(v);
        }
      }
      model_.levels.push_back(std::move(level));
      level.assign(above.begin(), above.end());
    }
    for (uint32_t s = model_.endpoints; s < model_.vertices; ++s) {
      if (model_.cluster_of[s] < 0 && !placed[s]) level.push_back(s);  // joined to nothing
    }
    if (!level.empty()) model_.levels.push_back(std::move(level));
  }

  std::string kind_of(const Cluster& cluster) const {
    std::map<std::string, int> contents;
    for (const uint32_t e : cluster.endpoints) ++contents[graph_.endpoints[e].vendor + " " + graph_.endpoints[e].device];
    std::string kind = std::to_string(cluster.nodes.size()) + "," + std::to_string(cluster.ports.size()) + "," +
                       std::to_string(cluster.between.size()) + "," + std::to_string(cluster.inside.size()) + "," + cluster.island;
    for (const auto& [what, count] : contents) kind.append(",").append(std::to_string(count)).append(" ").append(what);
    return kind;
  }

  const Graph& graph_;
  Model model_;
  std::vector<std::vector<uint32_t>> on_pcie_;
  std::vector<bool> off_network_;  // has a link that is no network's
};

}  // namespace

const std::string& Model::id(uint32_t vertex) const {
  return is_endpoint(vertex) ? graph->endpoints[vertex].id : graph->switches[vertex - endpoints].id;
}

Model model_of(const Graph& graph) {
  return ModelBuilder(graph).build();
}

std::vector<Shown> collapse(uint32_t count, uint32_t keep, const std::function<std::string(uint32_t)>& kind) {
  std::vector<Shown> shown;
  for (uint32_t begin = 0; begin < count;) {
    const std::string first = kind(begin);
    uint32_t end = begin + 1;
    while (end < count && kind(end) == first) ++end;
    if (end - begin <= keep + 1) {
      for (uint32_t i = begin; i < end; ++i) shown.push_back({i, 1});
    } else {
      const uint32_t head = std::max(1u, keep - 1);
      for (uint32_t i = begin; i < begin + head; ++i) shown.push_back({i, 1});
      shown.push_back({begin + head, end - begin - head - (keep > 1 ? 1 : 0)});
      if (keep > 1) shown.push_back({end - 1, 1});
    }
    begin = end;
  }
  return shown;
}

}  // namespace tutti::picture
