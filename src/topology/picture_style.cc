#include "topology/picture_style.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace tutti::picture {
namespace {

struct Colour {
  const char* name;
  const char* light;
  const char* dark;
};

// Kinds of links; those without a name are for what nobody has heard of.
constexpr Colour kKinds[] = {{"nvlink", "#4a8c1c", "#8fce4f"}, {"xgmi", "#c8433f", "#ff8a80"},
                             {"ici", "#2563c9", "#7fb0ff"},    {"neuronlink", "#c26a00", "#ffb152"},
                             {"c2c", "#8548b8", "#c79bf0"},    {"swarmx", "#0b8079", "#4fd1c5"},
                             {"ualink", "#b5472c", "#ff9d7a"}, {"infiniband", "#5b4fcf", "#a59bff"},
                             {"roce", "#a83f93", "#f08fdc"},   {"ethernet", "#2d7896", "#7cc7e8"},
                             {"efa", "#94700a", "#e0bd4d"},    {"pcie", "#7b828c", "#9aa3ae"},
                             {"shm", "#4c7d63", "#8cc7a6"},    {"network", "#2d7896", "#7cc7e8"},
                             {"uplink", "#5b4fcf", "#a59bff"}, {"", "#b0532f", "#f0a07c"},
                             {"", "#3b7dd8", "#8bbcff"},       {"", "#6d8a1f", "#bcd96a"},
                             {"", "#9b3d6e", "#e893bf"}};

// Fill and border of endpoints.
constexpr Colour kVendors[] = {{"nvidia", "#dff0cf", "#2c4218"}, {"amd", "#fadbd8", "#4d2220"},      {"google", "#d8e6fb", "#1d3557"},
                               {"aws", "#fce5c5", "#4d3312"},    {"cerebras", "#d3efec", "#163f3c"}, {"groq", "#eaddf6", "#3a2550"},
                               {"cpu", "#e4e8ec", "#333b44"},    {"", "#ece7da", "#403a2b"}};

constexpr const char* kChannels[kChannelColours] = {"#e3174a", "#2f62e8", "#ee7a12", "#12935a", "#9a2fd0", "#0a9fb5", "#c98a00", "#7a5c46"};
constexpr const char* kLoads[] = {"#9db4c8", "#5aa469", "#c9a400", "#e67e22", "#d6293a", "#8e0f2f"};

constexpr const char* kSheet = R"(
svg.tutti{--paper:#ffffff;--ink:#1d2530;--soft:#5c6672;--frame:#f4f6f8;--edge:#c9d0d8;--inner:#e9edf1;--switch:#d5dbe3;--more:#f8f9fb;
 background:var(--paper);color:var(--ink);font-family:system-ui,'Segoe UI',Roboto,'DejaVu Sans',Helvetica,Arial,sans-serif}
.paper{fill:var(--paper)}
.h1{font-size:19px;font-weight:600;fill:var(--ink)} .h2{font-size:12.5px;fill:var(--soft)}
.frame{fill:var(--frame);stroke:var(--edge);stroke-width:1} .frame.faint{fill:var(--inner);stroke:none} .frame.in{fill:var(--inner)}
.fl{font-size:12px;font-weight:600;fill:var(--soft);stroke:var(--frame);stroke-width:3;paint-order:stroke;stroke-linejoin:round;pointer-events:none}
.fl.in{font-size:10px;font-weight:500;stroke:var(--inner)}
.w{fill:none;stroke-linecap:round;opacity:.85}
.w.dense{opacity:.6} .w.faint{opacity:.3} .overlaid .w{opacity:.28}
.hit{fill:none;stroke:transparent;stroke-width:9;pointer-events:stroke}
.ep rect{stroke:var(--soft);stroke-width:1} .ep.norank rect{stroke-dasharray:3 2}
.nic rect{fill:var(--paper);stroke:var(--soft);stroke-width:1} .sw rect{fill:var(--switch);stroke:var(--soft);stroke-width:1}
.sw.red rect{stroke-width:2.2} .more rect{fill:var(--more);stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}
.t{font-size:11px;fill:var(--ink);text-anchor:middle;dominant-baseline:central;pointer-events:none} .t.s{font-size:9.5px} .sw .t,.more .t{fill:var(--soft)}
.t.b{font-size:12px;font-weight:600;fill:var(--soft);stroke:var(--switch);stroke-width:3;paint-order:stroke;stroke-linejoin:round}
.leg{font-size:12px;fill:var(--ink);dominant-baseline:central}
.hop{fill:none;stroke-width:1.9;stroke-linejoin:round;opacity:.95} .hop.thin{stroke-width:1.1;opacity:.8}
.ch.off{display:none} .pick{cursor:pointer}
.hot .w{opacity:.12} .hot .hop{opacity:.1} .hot .w.on,.hot .hop.on{opacity:1}
)";

void add_colours(std::string& out, bool dark, const std::string& under) {
  const auto colour = [&](const Colour& c) { return std::string(dark ? c.dark : c.light); };
  for (size_t i = 0; i < std::size(kKinds); ++i) out += under + ".k" + std::to_string(i) + "{stroke:" + colour(kKinds[i]) + "}";
  out += "\n";
  for (size_t i = 0; i < std::size(kVendors); ++i) out += under + ".v" + std::to_string(i) + " rect{fill:" + colour(kVendors[i]) + "}";
  out += "\n";
}

// `root`: the root element under which it holds, which may be the SVG itself.
std::string dark_sheet(const std::string& root) {
  std::string out =
      root + " svg.tutti,svg.tutti" + root +
      "{--paper:#12161c;--ink:#e6eaf0;--soft:#9fabb8;--frame:#1a2028;--edge:#38424e;--inner:#222a34;--switch:#323d4a;--more:#171c23}\n";
  add_colours(out, true, root + " ");
  return out;
}

std::string make_sheet() {
  std::string out = kSheet;
  add_colours(out, false, "");
  for (int c = 0; c < kChannelColours; ++c) {
    const std::string number = std::to_string(c);
    out += ".c" + number + "{stroke:" + kChannels[c] + "}.m" + number + "{fill:" + kChannels[c] + "}";
  }
  out += "\n";
  for (size_t i = 0; i < std::size(kLoads); ++i) out += ".byload .w.l" + std::to_string(i) + "{stroke:" + kLoads[i] + ";opacity:.95}";
  // What the viewer prefers; in HTML the reader may choose against it.
  out += "\n@media (prefers-color-scheme:dark){\n" + dark_sheet(":root:not([data-theme=light])") + "}\n";
  return out + dark_sheet(":root[data-theme=dark]");
}

}  // namespace

const std::string& style_sheet() {
  static const std::string sheet = make_sheet();
  return sheet;
}

int KindColours::of(const std::string& kind) {
  const auto [found, added] = known_.try_emplace(kind, 0);
  if (!added) return found->second;
  int spare = 0, first = static_cast<int>(std::size(kKinds));
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i].name == std::string_view(kind) && !kind.empty()) return found->second = static_cast<int>(i);
    if (kKinds[i].name[0] != '\0') continue;
    first = std::min(first, static_cast<int>(i));
    ++spare;
  }
  return found->second = first + next_++ % spare;
}

std::string vendor_class(const std::string& vendor) {
  size_t i = 0;
  while (i + 1 < std::size(kVendors) && kVendors[i].name != std::string_view(vendor)) ++i;
  return std::string("v").append(std::to_string(i));
}

}  // namespace tutti::picture
