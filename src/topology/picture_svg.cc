#include "topology/picture_svg.h"

#include <cmath>
#include <set>

#include "topology/picture_layout.h"
#include "topology/picture_style.h"
#include "topology/picture_tracks.h"
#include "topology/picture_words.h"
#include "topology/text_lines.h"

namespace tutti::picture {
namespace {

constexpr double kMargin = 18, kLeastWidth = 860;
constexpr double kLegendLine = 24, kLegendFont = 12;
constexpr size_t kMostSorts = 12, kMostSamples = 32;

std::string box_attributes(const Box& box, double round) {
  return text("x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.1f\"", box.x, box.y, box.w, box.h, round);
}

std::string tip(const std::string& title) {
  return "<title>" + escaped(title) + "</title>";
}

std::string text_at(Point at, const char* classes, const std::string& content) {
  return content.empty() ? "" : text("<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", classes, at.x, at.y) + escaped(content) + "</text>";
}

class Drawing {
 public:
  Drawing(const Graph& graph, const PictureOverlay* overlay)
      : graph_(graph), overlay_(overlay), scene_(lay_out(graph)), words_(graph, scene_, overlay) {
    if (overlay_ != nullptr) tracks_ = tracks_of(scene_, *overlay_);
    find_rates();
  }

  std::string draw(bool fluid) {
    const double width = std::max(scene_.width + 2 * kMargin, kLeastWidth);
    const double left = (width - scene_.width) / 2;
    std::string heading;
    const double top = head(heading, width);
    std::string body = text("<g transform=\"translate(%.1f %.1f)\"%s>\n", left, top, overlay_ != nullptr ? " class=\"overlaid\"" : "");
    frames(body);
    wires(body);
    items(body, true);
    hops(body);
    frame_labels(body);
    items(body, false);
    switch_labels(body);
    body += "</g>\n";
    std::string legend;
    const double height = draw_legend(legend, top + scene_.height + 26, width);
    const std::string size = fluid ? text("style=\"max-width:%.0fpx;width:100%%;height:auto\"", width * 1.25)
                                   : text("width=\"%.0f\" height=\"%.0f\"", width, height);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tutti\" role=\"img\" " + size +
           text(" viewBox=\"0 0 %.0f %.0f\" aria-label=\"", width, height) + escaped(graph_.name) + "\">\n<style>" + style_sheet() +
           isolating_rules() + "</style>\n" + arrows() + text("<rect class=\"paper\" width=\"%.0f\" height=\"%.0f\"/>\n", width, height) +
           heading + body + legend + "</svg>\n";
  }

 private:
  double head(std::string& out, double width) const {
    double y = 34;
    const auto say = [&](const std::string& what, const char* classes, double font) {
      out += text_at({kMargin, y}, classes, fitted(what, width - 2 * kMargin, font)) + "\n";
      y += 19;
    };
    const auto say_all = [&](std::string what) {  // on as many lines as it takes
      const auto most = static_cast<size_t>((width - 2 * kMargin) / (12.5 * 0.56));
      while (what.size() > most) {
        const size_t blank = what.rfind(' ', most);
        if (blank == std::string::npos || blank == 0) break;
        say(what.substr(0, blank), "h2", 12);
        what.erase(0, blank + 1);
      }
      say(what, "h2", 12);
    };
    say(graph_.name.empty() ? "(no name)" : graph_.name, "h1", 19);
    if (overlay_ != nullptr) say_all(overlay_->title);
    say_all(words_.summary());
    if (scene_.collapsed) say("Of what is alike some are drawn; the dashed boxes stand for the others.", "h2", 12);
    if (tracks_.left_out > 0) say("Too much to draw: " + plural(tracks_.left_out, "hop") + " of the plan left out.", "h2", 12);
    return y + 4;
  }

  void frames(std::string& out) const {
    for (const Frame& frame : scene_.frames) {
      const Box& b = frame.box;
      const bool inner = b.h < 100 && !frame.faint;
      const char* const classes = frame.faint ? "frame faint" : inner ? "frame in" : "frame";
      const std::string shape =
          frame.shear == 0
              ? text("<rect class=\"%s\" ", classes) + box_attributes(b, inner || frame.faint ? 6 : 10) + ">"
              : text("<path class=\"%s\" d=\"M%.1f %.1fh%.1fl%.1f %.1fh%.1fz\">", classes, b.x, b.y, b.w, frame.shear, b.h, -b.w);
      out += shape + tip(frame.title) + (frame.shear == 0 ? "</rect>" : "</path>");
    }
  }

  // Over the wires; of a name with a path what fits.
  void frame_labels(std::string& out) const {
    for (const Frame& frame : scene_.frames) {
      const Box& b = frame.box;
      const bool small = (b.h < 100 && !frame.faint) || frame.faint || b.w < 90;
      const double font = small ? 10 : 12;
      std::string label = frame.label;
      if (const size_t slash = label.find_last_of('/'); fitted(label, b.w - 8, font) != label || b.w < 240) label.erase(0, slash + 1);
      out += text_at({b.x + (small ? 5 : 10), b.y + (small ? 11 : 16)}, small ? "fl in" : "fl", fitted(label, b.w - 8, font)) + "\n";
    }
  }

  // The rates of wires that are one link each way give the range of widths.
  void find_rates() {
    for (const Wire& wire : scene_.wires) {
      if (wire.links.size() > 2) continue;
      const double GBps = rate_of(wire);
      least_ = least_ == 0 ? GBps : std::min(least_, GBps);
      most_ = std::max(most_, GBps);
    }
    for (const Link& link : graph_.links) colours_.of(link.kind);
  }

  double rate_of(const Wire& wire) const {
    double there = 0, back = 0;
    for (const uint32_t l : wire.links) {
      (scene_.item_of[scene_.from_of[l]] == wire.a ? there : back) += graph_.links[l].GBps * graph_.links[l].count;
    }
    return std::max(there, back);
  }

  double width_for(double GBps) const {
    if (most_ <= least_ * 1.01) return 1.6;
    return 1.1 + 2.7 * std::clamp(std::log(GBps / least_) / std::log(most_ / least_), 0.0, 1.0);
  }

  int load_class(const Wire& wire) const {
    double loaded = 0;
    for (const uint32_t l : wire.links) loaded = std::max(loaded, overlay_->link_loaded[l]);
    return loaded < 0.02 ? 0 : loaded < 0.25 ? 1 : loaded < 0.5 ? 2 : loaded < 0.75 ? 3 : loaded < 0.95 ? 4 : 5;
  }

  bool has_loads() const { return overlay_ != nullptr && overlay_->link_loaded.size() == graph_.links.size(); }

  void wires(std::string& out) {
    const bool dense = scene_.wires.size() > 150;
    for (const Wire& wire : scene_.wires) {
      const auto& c = wire.curve.at;
      const bool is_straight = std::abs((c[1].x - c[0].x) * (c[3].y - c[0].y) - (c[1].y - c[0].y) * (c[3].x - c[0].x)) < 1;
      const std::string path =
          is_straight ? text("M%.1f %.1fL%.1f %.1f", c[0].x, c[0].y, c[3].x, c[3].y)
                      : text("M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", c[0].x, c[0].y, c[1].x, c[1].y, c[2].x, c[2].y, c[3].x, c[3].y);
      const std::string load = has_loads() ? " l" + std::to_string(load_class(wire)) : "";
      // A long way from a chip to its NIC crosses what matters more.
      const bool faint = graph_.links[wire.links[0]].kind == "pcie" && std::hypot(c[3].x - c[0].x, c[3].y - c[0].y) > 60;
      out += text("<g data-a=\"%u\" data-b=\"%u\"><path class=\"w k%d%s%s\" stroke-width=\"%.1f\" d=\"", wire.a, wire.b,
                  colours_.of(graph_.links[wire.links[0]].kind), load.c_str(),
                  faint   ? " faint"
                  : dense ? " dense"
                          : "",
                  width_for(rate_of(wire)) * (dense ? 0.7 : 1));
      out += path + "\"/><path class=\"hit\" d=\"" + path + "\">" + tip(words_.title(wire)) + "</path></g>\n";
    }
  }

  void items(std::string& out, bool switches) const {
    for (uint32_t i = 0; i < scene_.items.size(); ++i) {
      const Item& item = scene_.items[i];
      const bool is_switch = item.shape == Shape::kBar || item.shape == Shape::kSwitch;
      if (is_switch != switches) continue;
      const uint32_t first = item.vertices[0];
      std::string classes = item.shape == Shape::kMore ? "more" : item.shape == Shape::kNic ? "nic" : "sw";
      if (item.shape == Shape::kEndpoint) {
        classes = "ep " + vendor_class(graph_.endpoints[first].vendor) + (graph_.endpoints[first].rank < 0 ? " norank" : "");
      }
      if (is_switch && graph_.switches[first - graph_.endpoints.size()].reduces) classes += " red";
      out += text("<g class=\"%s\" data-i=\"%u\"><rect ", classes.c_str(), i) +
             box_attributes(item.box, item.shape == Shape::kEndpoint ? 5 : 4) + ">" + tip(words_.title(item)) + "</rect>";
      const bool small = item.box.w < 30 || item.box.h < 20;
      if (!is_switch) out += text_at(item.box.centre(), small ? "t s" : "t", words_.label(item, small ? kSmallFont : 11));
      out += "</g>\n";
    }
  }

  // Over what the plan draws through them.
  void switch_labels(std::string& out) const {
    for (const Item& item : scene_.items) {
      if (item.shape == Shape::kBar || item.shape == Shape::kSwitch)
        out += text_at(item.box.centre(), "t b", words_.label(item, 12)) + "\n";
    }
  }

  // --- the plan

  size_t all_hops() const {
    size_t all = 0;
    for (const auto& channel : tracks_.channels) all += channel.size();
    return all;
  }

  // Few channels are shown together; of many the first, until one is picked.
  bool shown_at_first(size_t channel) const { return channel == 0 || (tracks_.channels.size() <= 4 && all_hops() <= 260); }

  void hops(std::string& out) const {
    for (size_t c = 0; c < tracks_.channels.size(); ++c) {
      const int colour = static_cast<int>(c) % kChannelColours;
      const bool thin = tracks_.channels[c].size() > 150;
      out += text("<g class=\"ch ch%zu%s\">\n", c, shown_at_first(c) ? "" : " off");
      for (const Track& track : tracks_.channels[c]) {
        out += text("<path class=\"hop c%d%s\" data-f=\"%u\" data-t=\"%u\" marker-end=\"url(#m%d)\"%s d=\"", colour, thin ? " thin" : "",
                    track.from, track.to, colour, c >= kChannelColours ? " stroke-dasharray=\"6 2\"" : "") +
               track.path + "\">" + tip(track.title) + "</path>\n";
      }
      out += "</g>\n";
    }
  }

  std::string arrows() const {
    std::string out = "<defs>";
    for (size_t c = 0; c < std::min<size_t>(tracks_.channels.size(), kChannelColours); ++c) {
      out += text(
          "<marker id=\"m%zu\" viewBox=\"0 0 8 8\" refX=\"6.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" "
          "markerUnits=\"userSpaceOnUse\" "
          "orient=\"auto\"><path class=\"m%zu\" d=\"M0 0.6L8 4L0 7.4z\"/></marker>",
          c, c);
    }
    return out + "</defs>\n";
  }

  // Pointing at a channel in the legend shows it alone, without a script.
  std::string isolating_rules() const {
    std::string out;
    for (size_t c = 0; c < tracks_.channels.size(); ++c) {
      out += text("svg:has(.pick%zu:hover) .ch:not(.ch%zu){display:none} svg:has(.pick%zu:hover) .ch%zu{display:inline}\n", c, c, c, c);
    }
    return out;
  }

  // --- the legend

  struct Pen {
    double x = kMargin, y = 0, width = 0;

    // Room for something so wide: on this line, or else on the next.
    Point take(double wide) {
      if (x + wide > width - kMargin && x > kMargin) next();
      const Point at{x, y};
      x += wide + 22;
      return at;
    }
    void next() {
      x = kMargin;
      y += kLegendLine;
    }
  };

  void entry(std::string& out, Pen& pen, const std::string& sample, double sample_width, const std::string& words) const {
    const std::string shown = fitted(words, pen.width - 2 * kMargin - sample_width - 8, kLegendFont);
    size_t characters = 0;
    for (const char c : shown) characters += (c & 0xc0) != 0x80;
    const Point at = pen.take(sample_width + 8 + static_cast<double>(characters) * kLegendFont * 0.56);
    out += text("<g transform=\"translate(%.1f %.1f)\">", at.x, at.y) + sample + text_at({sample_width + 8, 0}, "leg", shown) + "</g>\n";
  }

  void link_legend(std::string& out, Pen& pen) {
    std::set<std::string> seen;
    std::map<std::string, size_t> sorts_of_kind;
    std::vector<const Link*> sorts;
    for (uint32_t l = 0; l < graph_.links.size(); ++l) {
      if (scene_.wire_of[l] == kNone || !seen.insert(Words::sort_of(graph_.links[l])).second) continue;
      if (sorts.size() < 200) sorts.push_back(&graph_.links[l]);
      ++sorts_of_kind[graph_.links[l].kind];
    }
    std::set<std::string> summed;
    for (const Link* const link : sorts) {
      const double GBps = link->GBps * link->count;
      std::string words = Words::sort_of(*link);
      if (seen.size() > kMostSorts && sorts_of_kind[link->kind] > 2) {  // its rates are many
        if (!summed.insert(link->kind).second) continue;
        words = range_of(link->kind, sorts);
      }
      entry(out, pen, text("<path class=\"w k%d\" stroke-width=\"%.1f\" d=\"M0 0h30\"/>", colours_.of(link->kind), width_for(GBps)), 30,
            words);
    }
    if (!sorts.empty()) pen.next();
  }

  static std::string range_of(const std::string& kind, const std::vector<const Link*>& sorts) {
    double least = INFINITY, most = 0;
    for (const Link* const link : sorts) {
      if (link->kind != kind) continue;
      least = std::min(least, link->GBps * link->count);
      most = std::max(most, link->GBps * link->count);
    }
    return (kind.empty() ? "link" : kind) + " " + rate_text(least) + " to " + rate_text(most);
  }

  void item_legend(std::string& out, Pen& pen) const {
    std::map<std::string, std::string> vendors;  // class and words
    bool nics = false, switches = false, reducing = false;
    for (const Item& item : scene_.items) {
      const uint32_t first = item.vertices[0];
      if (first < graph_.endpoints.size()) {
        const Endpoint& e = graph_.endpoints[first];
        vendors.try_emplace((e.vendor.empty() ? "" : e.vendor + " ") + e.device + (e.rank >= 0 ? ", by rank" : ", without a rank"),
                            vendor_class(e.vendor) + (e.rank < 0 ? " norank" : ""));
      }
      nics |= item.shape == Shape::kNic;
      const bool is_switch = item.shape == Shape::kBar || item.shape == Shape::kSwitch;
      switches |= is_switch;
      reducing |= is_switch && graph_.switches[first - graph_.endpoints.size()].reduces;
    }
    const auto box = [](const std::string& classes) {
      return "<g class=\"" + classes + "\"><rect x=\"0\" y=\"-8\" width=\"22\" height=\"16\" rx=\"4\"/></g>";
    };
    for (const auto& [words, classes] : vendors) entry(out, pen, box("ep " + classes), 22, words);
    if (nics) entry(out, pen, box("nic"), 22, "NIC");
    if (switches) entry(out, pen, box("sw"), 22, "switch");
    if (reducing) entry(out, pen, box("sw red"), 22, "switch that reduces");
    if (scene_.collapsed) entry(out, pen, box("more"), 22, "that many more");
    pen.next();
  }

  double draw_legend(std::string& out, double y, double width) {
    Pen pen{.y = y, .width = width};
    link_legend(out, pen);
    item_legend(out, pen);
    for (size_t c = 0; c < std::min<size_t>(tracks_.channels.size(), kMostSamples); ++c) {
      const int colour = static_cast<int>(c) % kChannelColours;
      const std::string sample = text(
          "<g class=\"pick pick%zu\" data-c=\"%zu\"><rect x=\"-4\" y=\"-11\" width=\"100\" height=\"22\" fill=\"transparent\"/>"
          "<path class=\"hop c%d\" marker-end=\"url(#m%d)\" d=\"M0 0h26\"/><title>%s</title></g>",
          c, c, colour, colour, "point here to see this channel alone");
      entry(out, pen, sample, 28, "channel " + overlay_->channels[c].name);
    }
    return (pen.x > kMargin ? pen.y + kLegendLine : pen.y) + 4;
  }

  const Graph& graph_;
  const PictureOverlay* overlay_;
  Scene scene_;
  Words words_;
  Tracks tracks_;
  KindColours colours_;
  double least_ = 0, most_ = 0;
};

}  // namespace

std::string draw(const Graph& graph, const PictureOverlay* overlay, bool fluid) {
  return Drawing(graph, overlay).draw(fluid);
}

}  // namespace tutti::picture

namespace tutti {

std::string picture_svg(const Graph& graph, const PictureOverlay* overlay) {
  return picture::draw(graph, overlay, false);
}

std::vector<int> pictured_ranks(const Graph& graph) {
  const picture::Scene scene = picture::lay_out(graph);
  std::vector<int> ranks;
  for (const picture::Item& item : scene.items) {
    if (item.shape != picture::Shape::kEndpoint) continue;
    if (const int rank = graph.endpoints[item.vertices[0]].rank; rank >= 0) ranks.push_back(rank);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

}  // namespace tutti
