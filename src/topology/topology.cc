#include "topology/topology.h"

#include <map>
#include <string>

#include "topology/cluster.h"

namespace tutti {

int Torus::stride(int axis) const {
  int stride = 1;
  for (size_t later = static_cast<size_t>(axis) + 1; later < axes_.size(); ++later) stride *= axes_[later].size;
  return stride;
}

int Torus::size() const {
  int size = 1;
  for (const Axis& axis : axes_) size *= axis.size;
  return size;
}

Result<std::unique_ptr<const Topology>> Topology::create(Graph graph) {
  Result<Network> network = Network::create(graph);
  if (!network.ok()) return network.status();
  if (!graph.axes.empty()) {
    for (const Axis& axis : graph.axes) {
      if (axis.size < 1)
        return Status(Code::kInvalidArgument, "topology: an axis must have a size of 1 or more, has " + std::to_string(axis.size));
    }
    if (const int places = Torus(graph.axes).size(); places != network->nranks()) {
      return Status(Code::kInvalidArgument, "topology: the axes have " + std::to_string(places) + " places, but there are " +
                                                std::to_string(network->nranks()) + " ranks");
    }
  }
  return std::unique_ptr<const Topology>(new Topology(std::move(graph), std::move(*network)));
}

Topology::Topology(Graph graph, Network network) : graph_(std::move(graph)), network_(std::move(network)) {
  if (!graph_.axes.empty()) torus_.emplace(graph_.axes);
  std::map<std::string, int> number_of;
  for (int rank = 0; rank < nranks(); ++rank) {
    const Endpoint& endpoint = graph_.endpoints[network_.vertex_of_rank(rank)];
    const std::string& name = endpoint.island.empty() ? endpoint.node : endpoint.island;
    const int number = number_of.emplace(name, static_cast<int>(number_of.size())).first->second;
    if (number == static_cast<int>(islands_.size())) islands_.emplace_back();
    islands_[static_cast<size_t>(number)].push_back(rank);
    island_of_.push_back(number);
  }
}

const TreePacking& Topology::trees(PackingKind kind, int root) const {
  const std::lock_guard<std::mutex> lock(packings_mutex_);
  const auto known = packings_.find({kind, root});
  if (known != packings_.end()) return known->second;
  return packings_.emplace(std::pair(kind, root), pack_trees(network_, kind, root)).first->second;
}

std::unique_ptr<const Topology> single_host_topology(int nranks) {
  return std::move(*Topology::create(single_host_graph(nranks)));
}

}  // namespace tutti
