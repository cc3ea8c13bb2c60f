// Reads the names of systems; systems_table.cc has the data, system_builder.cc lays it out.
#include "topology/systems.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "topology/system_builder.h"
#include "topology/systems_table.h"

namespace tutti {
namespace {

using systems::Fabric;
using systems::Part;
using systems::Row;
using systems::WrapRule;

constexpr int kMostEndpoints = 1 << 18;

std::string quoted(std::string_view text) {
  return std::string(1, '\'').append(text).append(1, '\'');
}

// What a name or a part of one is refused with.
Status wrong(std::string_view part, const std::string& what) {
  return {Code::kInvalidArgument, "system " + quoted(part) + ": " + what};
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// A whole number of 1 and more; 0: it is none.
int positive(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 ? value : 0;
}

// A finite rate above 0; 0: it is none.
double rate(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  return !copy.empty() && *end == '\0' && std::isfinite(value) && value > 0 ? value : 0;
}

int dimensions(const Row& row) {
  return row.fabric != Fabric::kTorus
             ? 1
             : static_cast<int>(std::count_if(row.unit.begin(), row.unit.end(), [](int size) { return size > 0; }));
}

std::string by_x(const Row& row) {
  std::string text;
  for (const int size : row.unit) {
    if (size > 0) text.append(text.empty() ? "" : "x").append(std::to_string(size));
  }
  return text;
}

// What a family's switches carry, or its full mesh can have.
int most_chips(const Row& row) {
  return std::string_view(row.name) == "trn3-ultra" ? 144 : row.unit[0];
}

bool has_chips_option(const Row& row) {
  return row.fabric == Fabric::kSwitched || row.fabric == Fabric::kMesh;
}

bool takes(const Row& row, std::string_view option) {
  const Fabric fabric = row.fabric;
  if (option == "wrap") return fabric == Fabric::kTorus;
  if (option == "chips") return has_chips_option(row);
  if (option == "k") return fabric == Fabric::kFatTree;
  if (option == "oversubscription") return fabric == Fabric::kFatTree || fabric == Fabric::kRails;
  if (option == "GBps") return fabric == Fabric::kFatTree || fabric == Fabric::kHosts;
  return option == "innetwork" && row.switches_can_reduce;
}

std::string options_of(const Row& row) {
  std::string text;
  for (const char* option : {"wrap", "chips", "k", "oversubscription", "GBps", "innetwork"}) {
    if (takes(row, option)) text.append(text.empty() ? "" : ",").append(option).append("=");
  }
  return text;
}

std::string count_of(const Row& row) {
  switch (row.fabric) {
    case Fabric::kTorus: return row.vendor == std::string_view("google") ? "slices" : "units";
    case Fabric::kDragonfly: return "";
    case Fabric::kTree: return "wafers";
    case Fabric::kFatTree:
    case Fabric::kHosts: return "hosts";
    case Fabric::kRails: return "nodes";
    default: return row.node_name[0] == '\0' ? "nodes" : "racks";
  }
}

void wrap_by_rule(Part& part) {
  const bool whole_cubes = std::all_of(part.axes.begin(), part.axes.end(), [](const Axis& axis) { return axis.size % 4 == 0; });
  for (Axis& axis : part.axes) {
    const WrapRule rule = part.row->wrap;
    const bool wraps =
        rule == WrapRule::kAll || (rule == WrapRule::kWholeCubes && whole_cubes) || (rule == WrapRule::kSixteen && axis.size == 16);
    axis.wrap = wraps && axis.size > 2;
  }
}

// The unit of a family as its name alone means it.
Part default_part(const Row& row) {
  Part part{.row = &row, .chips = row.unit[0], .nic_GBps = row.nic.GBps, .reduces = row.switches_reduce};
  if (row.fabric == Fabric::kRails) {
    part.nodes = row.unit[0];
    part.chips = row.unit[1];
  }
  if (row.fabric == Fabric::kTorus) {
    part.chips = 1;
    for (int axis = 0; axis < dimensions(row); ++axis) {
      part.axes.push_back({row.unit[static_cast<size_t>(axis)], false});
      part.chips *= part.axes.back().size;
    }
    wrap_by_rule(part);
  }
  return part;
}

// The suffix is "4x8": a torus's shape, or nodes and chips of rails.
Status read_shape(std::string_view text, const std::vector<std::string_view>& sizes, Part& part) {
  const Row& row = *part.row;
  const int64_t expected = row.fabric == Fabric::kRails ? 2 : dimensions(row);
  if (row.fabric != Fabric::kTorus && row.fabric != Fabric::kRails) {
    return wrong(text, std::string(row.name) + " has no shape; what it takes after the colon is a number of " +
                           (count_of(row).empty() ? "1" : count_of(row)));
  }
  if (static_cast<int64_t>(sizes.size()) != expected) {
    return wrong(text, std::string(row.name) + " has " + std::to_string(expected) + " axes, not " + std::to_string(sizes.size()) +
                           ": write it as " + row.name + ":" + by_x(row));
  }
  std::vector<int> numbers;
  int64_t product = 1;
  for (const std::string_view size : sizes) {
    const int number = positive(size);
    if (number == 0) return wrong(text, quoted(size) + " is not the size of an axis: it must be a whole number of 1 or more");
    product = std::min<int64_t>(product * number, int64_t{kMostEndpoints} + 1);
    numbers.push_back(number);
  }
  if (product > kMostEndpoints) return wrong(text, "has more than " + std::to_string(kMostEndpoints) + " endpoints");
  if (row.fabric == Fabric::kRails) {
    if (numbers[1] > 8) return wrong(text, "a node has at most 8 chips, not " + std::to_string(numbers[1]));
    part.nodes = numbers[0];
    part.chips = numbers[1];
    return {};
  }
  part.axes.clear();
  for (const int number : numbers) part.axes.push_back({number, false});
  part.chips = static_cast<int>(product);
  wrap_by_rule(part);
  return {};
}

Status read_count(std::string_view text, std::string_view number, Part& part) {
  const int count = positive(number);
  if (count == 0 || count > kMostEndpoints) {
    return wrong(text, quoted(number) + " is neither a number of 1 or more nor a shape such as 4x8");
  }
  const Row& row = *part.row;
  if (row.fabric == Fabric::kRails) {
    part.nodes = count;
  } else if (row.counts_leaves) {
    part.chips = count;
  } else if (count_of(row).empty() && count > 1) {
    return wrong(text, std::string(row.name) + " has no NICs that could join several: there is only one");
  } else {
    part.units = count;
  }
  return {};
}

Status read_wrap(std::string_view text, std::string_view value, Part& part) {
  if (value.size() != part.axes.size() || value.find_first_not_of("01") != std::string_view::npos) {
    return wrong(text, "wrap=" + std::string(value) + " must have a 1 (wraps) or a 0 (does not) for each of the " +
                           std::to_string(part.axes.size()) + " axes");
  }
  for (size_t axis = 0; axis < value.size(); ++axis) {
    part.axes[axis].wrap = value[axis] == '1';
    if (part.axes[axis].wrap && part.axes[axis].size == 1) {
      return wrong(text, "axis " + std::to_string(axis) + " has one chip: it cannot wrap");
    }
  }
  return {};
}

Status read_option(std::string_view text, std::string_view option, Part& part) {
  const size_t equals = option.find('=');
  const std::string_view key = option.substr(0, equals), value = equals == std::string_view::npos ? "" : option.substr(equals + 1);
  const Row& row = *part.row;
  if (!takes(row, key)) {
    const std::string known = options_of(row);
    return wrong(text, std::string(row.name) + " has no option " + quoted(key) + (known.empty() ? "" : "; its options are " + known));
  }
  const std::string given = std::string(key) + "=" + std::string(value);
  if (key == "wrap") return read_wrap(text, value, part);
  if (key == "chips") {
    part.chips = positive(value);
    if (part.chips == 0 || part.chips > most_chips(row)) {
      return wrong(text, given + " must be from 1 to " + std::to_string(most_chips(row)));
    }
  } else if (key == "k") {
    part.ports = positive(value);
    if (part.ports < 2 || part.ports > 4096) return wrong(text, given + ", the ports of a switch, must be from 2 to 4096");
  } else if (key == "oversubscription") {
    part.oversubscription = rate(value);
    if (part.oversubscription < 1 || part.oversubscription > 1000) return wrong(text, given + " must be from 1 to 1000");
  } else if (key == "GBps") {
    part.nic_GBps = rate(value);
    if (part.nic_GBps == 0) return wrong(text, given + " must be a number above 0: 10^9 bytes/s of one direction");
  } else {
    if (value != "yes" && value != "no") return wrong(text, given + " must be yes or no");
    part.reduces = value == "yes";
  }
  return {};
}

Result<Part> read_part(std::string_view text) {
  const std::vector<std::string_view> fields = split(text, ',');
  const size_t colon = fields[0].find(':');
  const std::string_view name = fields[0].substr(0, colon);
  const auto rows = systems::rows();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return name == r.name; });
  if (row == rows.end()) {
    return wrong(text, "there is no system " + quoted(name) + "; `tutti-topo systems` lists the names");
  }
  Part part = default_part(*row);
  if (colon != std::string_view::npos) {
    const std::string_view suffix = fields[0].substr(colon + 1);
    const std::vector<std::string_view> sizes = split(suffix, 'x');
    const Status status = sizes.size() > 1 ? read_shape(text, sizes, part) : read_count(text, suffix, part);
    if (!status.ok()) return status;
  }
  for (size_t i = 1; i < fields.size(); ++i) {
    if (Status status = read_option(text, fields[i], part); !status.ok()) return status;
  }
  return part;
}

}  // namespace

Result<Graph> named_system(std::string_view name) {
  std::vector<Part> parts;
  int64_t units = 0, endpoints = 0;
  for (const std::string_view text : split(name, '+')) {
    Result<Part> part = read_part(text);
    if (!part.ok()) return part.status();
    units += part->units;
    endpoints += int64_t{part->units} * part->nodes * part->chips;
    if (endpoints > kMostEndpoints) return wrong(name, "has more than " + std::to_string(kMostEndpoints) + " endpoints");
    parts.push_back(std::move(*part));
  }
  for (const Part& part : parts) {
    if (parts.size() > 1 && part.row->nic.chips == 0) {
      return wrong(name, std::string(part.row->name) + " has no NICs that could join it to the others: name it alone");
    }
  }
  systems::SystemBuilder builder{std::string(name), units > 1};
  for (const Part& part : parts) builder.lay(part);
  return builder.finish();
}

std::span<const SystemFamily> system_families() {
  static const std::vector<SystemFamily> families = [] {
    std::vector<SystemFamily> list;
    for (const Row& row : systems::rows()) {
      const std::string noun = row.fabric == Fabric::kRails ? "nodes x gpus" : row.chip + std::string("s");
      list.push_back({row.name, row.structure, by_x(row) + " " + noun, count_of(row), options_of(row), row.confidence});
    }
    return list;
  }();
  return families;
}

}  // namespace tutti
