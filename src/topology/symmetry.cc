#include "topology/symmetry.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace tutti {
namespace {

constexpr uint32_t kUnknown = 0xffff'ffff;

// A vertex map that sends every endpoint with a rank where it should go, extended to the other vertices step by step: one is known by its
// edges to vertices that are. Where several would do (the spines of a fat tree), they are taken in order; whether it was right the edges
// tell.
class Extension {
 public:
  Extension(const Network& network, std::vector<uint32_t> image)
      : network_(network), image_(std::move(image)), taken_(image_.size(), false) {
    for (const uint32_t vertex : image_) {
      if (vertex != kUnknown) taken_[vertex] = true;
    }
  }

  // Empty: there is none.
  std::vector<uint32_t> find() {
    for (;;) {
      std::vector<uint32_t> unknown;
      for (uint32_t v = 0; v < image_.size(); ++v) {
        if (image_[v] == kUnknown) unknown.push_back(v);
      }
      if (unknown.empty()) return image_;
      if (!extend(unknown)) return {};
    }
  }

 private:
  // Of a vertex's edges to vertices whose image is known: the other end's image, direction, rate and latency, mixed into one number. Sums,
  // so that the order is of no account; what falls together by chance is found out by the edges. 0: it has none.
  // `mapped`: of `vertex`, mapped; else of a vertex as an image itself: its neighbours count if they are images.
  uint64_t sign(uint32_t vertex, bool mapped) const {
    uint64_t sum = 0;
    const auto add = [&](uint32_t other, uint64_t direction, const Edge& edge) {
      if (mapped ? image_[other] == kUnknown : !taken_[other]) return;
      uint64_t h = mix(direction << 32, mapped ? image_[other] : other);
      h = mix(h, std::bit_cast<uint64_t>(edge.bytes_per_us));
      sum += mix(h, std::bit_cast<uint64_t>(edge.latency_us)) | 1;
    };
    for (const uint32_t e : network_.out(vertex)) add(network_.edges()[e].to, 1, network_.edges()[e]);
    for (const uint32_t e : network_.in(vertex)) add(network_.edges()[e].from, 2, network_.edges()[e]);
    return sum;
  }
  static uint64_t mix(uint64_t h, uint64_t value) {
    h = (h ^ value) * 0x9e3779b97f4a7c15ull;
    return h ^ (h >> 29);
  }

  // Maps all that have neighbours that are mapped. A vertex's candidates are those of equal sign that are not taken.
  bool extend(const std::vector<uint32_t>& unknown) {
    struct List {
      std::vector<uint32_t> vertices;
      size_t next = 0;
    };
    std::unordered_map<uint64_t, List> candidates;
    for (uint32_t v = 0; v < image_.size(); ++v) {
      if (taken_[v]) continue;
      if (const uint64_t known = sign(v, false); known != 0) candidates[known].vertices.push_back(v);
    }
    std::vector<std::pair<uint32_t, uint32_t>> found;
    for (const uint32_t v : unknown) {
      const uint64_t known = sign(v, true);
      if (known == 0) continue;
      const auto list = candidates.find(known);
      if (list == candidates.end() || list->second.next == list->second.vertices.size()) return false;
      found.emplace_back(v, list->second.vertices[list->second.next++]);
    }
    for (const auto& [v, image] : found) {
      image_[v] = image;
      taken_[image] = true;
    }
    return !found.empty();
  }

  const Network& network_;
  std::vector<uint32_t> image_;
  std::vector<bool> taken_;
};

// Each edge's image under a vertex map; parallel edges in order. Empty: the map is no symmetry.
std::vector<uint32_t> edge_images(const Network& network, const std::vector<uint32_t>& image) {
  using Key = std::tuple<uint32_t, double, double, uint32_t>;  // where to, rate, latency; which
  std::vector<uint32_t> images(network.edges().size());
  std::vector<Key> here, there;
  for (uint32_t v = 0; v < image.size(); ++v) {
    if (network.out(v).size() != network.out(image[v]).size()) return {};
    here.clear();
    there.clear();
    for (const uint32_t e : network.out(v)) {
      const Edge& edge = network.edges()[e];
      here.emplace_back(image[edge.to], edge.bytes_per_us, edge.latency_us, e);
    }
    for (const uint32_t e : network.out(image[v])) {
      const Edge& edge = network.edges()[e];
      there.emplace_back(edge.to, edge.bytes_per_us, edge.latency_us, e);
    }
    std::sort(here.begin(), here.end());
    std::sort(there.begin(), there.end());
    for (size_t i = 0; i < here.size(); ++i) {
      const auto& [to, rate, latency, e] = here[i];
      const auto& [image_to, image_rate, image_latency, image_e] = there[i];
      if (to != image_to || rate != image_rate || latency != image_latency) return {};
      images[e] = image_e;
    }
  }
  return images;
}

uint32_t root_of(std::vector<uint32_t>& parent, uint32_t e) {
  while (parent[e] != e) e = parent[e] = parent[parent[e]];
  return e;
}

}  // namespace

int Symmetry::shifted(int rank, int by) const {
  int sum = 0, weight = 1;
  for (auto radix = radices_.rbegin(); radix != radices_.rend(); ++radix) {
    sum += (rank + by) % *radix * weight;
    // Digits are added without carry.
    rank /= *radix;
    by /= *radix;
    weight *= *radix;
  }
  return sum;
}

int Symmetry::inverse(int rank) const {
  int negative = 0, weight = 1;
  for (auto radix = radices_.rbegin(); radix != radices_.rend(); ++radix) {
    negative += (*radix - rank % *radix) % *radix * weight;
    rank /= *radix;
    weight *= *radix;
  }
  return negative;
}

std::optional<Symmetry> Symmetry::find(const Network& network, std::vector<int> radices) {
  Symmetry symmetry;
  symmetry.nranks_ = network.nranks();
  symmetry.radices_ = std::move(radices);
  std::vector<uint32_t> parent(network.edges().size());
  std::iota(parent.begin(), parent.end(), 0u);
  // One step along each digit makes all the others.
  int step = symmetry.nranks_;
  for (const int radix : symmetry.radices_) {
    step /= radix;
    if (radix == 1) continue;
    std::vector<uint32_t> image(static_cast<size_t>(network.vertices()), kUnknown);
    for (int rank = 0; rank < symmetry.nranks_; ++rank) {
      image[network.vertex_of_rank(rank)] = network.vertex_of_rank(symmetry.shifted(rank, step));
    }
    image = Extension(network, std::move(image)).find();
    if (image.empty()) return std::nullopt;
    const std::vector<uint32_t> images = edge_images(network, image);
    if (images.size() != parent.size()) return std::nullopt;
    for (uint32_t e = 0; e < parent.size(); ++e) parent[root_of(parent, e)] = root_of(parent, images[e]);
  }
  symmetry.class_of_.assign(parent.size(), kUnknown);
  for (uint32_t e = 0; e < parent.size(); ++e) {
    uint32_t& of_root = symmetry.class_of_[root_of(parent, e)];
    if (of_root == kUnknown) {
      of_root = static_cast<uint32_t>(symmetry.edges_in_class_.size());
      symmetry.edges_in_class_.push_back(0);
      symmetry.edge_of_class_.push_back(e);
    }
    symmetry.class_of_[e] = of_root;
    ++symmetry.edges_in_class_[of_root];
  }
  return symmetry;
}

Symmetry Symmetry::numbering(int nranks, std::vector<int> radices) {
  Symmetry symmetry;
  symmetry.nranks_ = nranks;
  symmetry.radices_ = std::move(radices);
  return symmetry;
}

std::vector<std::vector<int>> Symmetry::likely_radices(const Topology& topology) {
  const int n = topology.nranks();
  std::vector<std::vector<int>> all;
  const auto add = [&](std::vector<int> radices) {
    if (std::find(all.begin(), all.end(), radices) == all.end()) all.push_back(std::move(radices));
  };
  if (topology.torus()) {
    std::vector<int> axes;
    for (const Axis& axis : topology.torus()->axes()) axes.push_back(axis.size);
    add(std::move(axes));
  }
  const int islands = static_cast<int>(topology.islands().size());
  if (islands > 1 && islands < n && n % islands == 0) add({islands, n / islands});
  add({n});
  if (std::has_single_bit(static_cast<unsigned>(n)))
    add(std::vector<int>(static_cast<size_t>(std::countr_zero(static_cast<unsigned>(n))), 2));
  return all;
}

}  // namespace tutti
