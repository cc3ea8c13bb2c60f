#include "topology/picture_tracks.h"

#include <cmath>

#include "topology/picture_words.h"
#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

constexpr size_t kMostTracks = 6000;

double length(Point a) {
  return std::hypot(a.x, a.y);
}

Point direction(Point from, Point to) {
  const Point d = to - from;
  const double l = length(d);
  return l < 1e-9 ? Point{0, 0} : d * (1 / l);
}

std::string at(Point p) {
  return text("%.1f %.1f", p.x, p.y);
}

// The curve as seen by who goes from `from`, moved to his right.
Curve lane(const Wire& wire, uint32_t from, double aside) {
  Curve curve = wire.curve;
  if (wire.a != from) {
    std::swap(curve.at[0], curve.at[3]);
    std::swap(curve.at[1], curve.at[2]);
  }
  const Point d = direction(curve.at[0], curve.at[3]);
  for (Point& p : curve.at) p = p + Point{-d.y, d.x} * aside;
  return curve;
}

class TrackMaker {
 public:
  TrackMaker(const Scene& scene, double aside) : scene_(scene), aside_(aside) {}

  // Empty where the hop stays inside one item.
  std::string path(uint32_t item, const PictureHop& hop, std::vector<uint32_t>& wires) const {
    std::string out;
    Curve last;
    for (const uint32_t link : hop.links) {
      const uint32_t w = link < scene_.wire_of.size() ? scene_.wire_of[link] : kNone;
      if (w == kNone) continue;
      const Wire& wire = scene_.wires[w];
      const Curve curve = lane(wire, item, aside_);
      if (out.empty()) {
        out.append("M").append(at(curve.at[0]));
      } else {
        out += through(scene_.items[item], last, curve);
      }
      out += "C" + at(curve.at[1]) + " " + at(curve.at[2]) + " " + at(curve.at[3]);
      last = curve;
      wires.push_back(w);
      item = wire.a == item ? wire.b : wire.a;
    }
    return out;
  }

 private:
  // Through a switch: in by one link, bending, out by another; the deeper the farther.
  static std::string through(const Item& item, const Curve& in, const Curve& out) {
    const Point p = in.at[3], q = out.at[0];
    const double span = length(q - p), most = item.shape == Shape::kBar ? item.box.h * 1.1 : 24;
    const double bend = std::min(6 + span * 0.12, most);
    return "C" + at(p + direction(in.at[2], p) * bend) + " " + at(q + direction(out.at[1], q) * bend) + " " + at(q);
  }

  const Scene& scene_;
  double aside_;
};

struct Bundle {
  uint32_t from = 0, to = 0;
  std::string path;
  size_t hops = 0;
  int first_from = 0, first_to = 0;
  double bytes = 0;
};

std::string title_of(const std::string& channel, const Bundle& bundle) {
  std::string out =
      "channel " + channel + ": rank " + std::to_string(bundle.first_from) + " \xe2\x86\x92 rank " + std::to_string(bundle.first_to);
  if (bundle.hops > 1) out += " and " + std::to_string(bundle.hops - 1) + " more the same way";
  return out + "\n" + bytes_text(bundle.bytes);
}

}  // namespace

Tracks tracks_of(const Scene& scene, const PictureOverlay& overlay) {
  Tracks tracks;
  std::map<int, uint32_t> item_of_rank;
  size_t room = kMostTracks;
  const size_t lanes = std::min<size_t>(overlay.channels.size(), 4);
  for (size_t c = 0; c < overlay.channels.size(); ++c) {
    const PictureChannel& channel = overlay.channels[c];
    const TrackMaker maker(scene, 1.6 + 2.3 * static_cast<double>(c % std::max<size_t>(lanes, 1)));
    std::map<std::pair<uint32_t, std::vector<uint32_t>>, Bundle> bundles;
    for (const PictureHop& hop : channel.hops) {
      if (hop.links.empty() || hop.links[0] >= scene.from_of.size() || hop.links.back() >= scene.to_of.size()) continue;
      const uint32_t first = scene.from_of[hop.links[0]], last = scene.to_of[hop.links.back()];
      if (first == kNone || last == kNone) continue;
      std::vector<uint32_t> wires;
      std::string path = maker.path(scene.item_of[first], hop, wires);
      if (path.empty()) continue;
      Bundle& bundle = bundles[{scene.item_of[first], std::move(wires)}];
      if (bundle.hops++ == 0) bundle = {scene.item_of[first], scene.item_of[last], std::move(path), 1, hop.from, hop.to, 0};
      bundle.bytes += hop.bytes;
    }
    auto& list = tracks.channels.emplace_back();
    for (const auto& [key, bundle] : bundles) {
      if (room == 0) {
        ++tracks.left_out;
        continue;
      }
      --room;
      list.push_back({bundle.from, bundle.to, bundle.path, title_of(channel.name, bundle)});
    }
  }
  return tracks;
}

}  // namespace tutti::picture
