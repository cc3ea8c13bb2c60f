#include "planner/tuning.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "topology/json_fields.h"

namespace tutti {
namespace {

using namespace strict_json;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr size_t kMostFileBytes = size_t{64} << 20;
constexpr int kVersion = 1;

std::string describe(const Situation& situation) {
  return std::string(collective_name(situation.collective)) + " on " + std::to_string(situation.ranks) + " ranks of " +
         std::to_string(situation.nodes) + " nodes over " + situation.transport;
}

Collective read_collective(Fields& fields) {
  const std::string name = fields.text("collective");
  for (int i = 0; i < kCollectives; ++i) {
    const auto collective = static_cast<Collective>(i);
    if (name == collective_name(collective) && collective != Collective::kSendRecv) return collective;
  }
  fields.wrong(fields.name() + ": there is no collective " + in_quotes(name) + " to tune; all_reduce is one");
}

const Algorithm& read_algorithm(Fields& fields) {
  const std::string name = fields.text("algorithm");
  if (const Algorithm* const found = find_algorithm(name)) return *found;
  fields.wrong(fields.name() + ": there is no algorithm " + in_quotes(name) + ": `tutti-plan list` has them; make the file again");
}

int read_count(Fields& fields, const char* key) {
  fields.need(key);
  return fields.whole(key, 1, 1);
}

PlanChoice read_choice(Fields& fields) {
  const Algorithm& algorithm = read_algorithm(fields);
  PlanChoice choice{.algorithm = algorithm.name, .channels = read_count(fields, "channels"), .parameter = fields.whole("parameter", 0, 0)};
  if (choice.channels > kMostShares) {
    fields.wrong(fields.says("channels", fields.need("channels")) + " must be at most " + std::to_string(kMostShares));
  }
  const auto& legal = algorithm.parameters;
  if (choice.parameter != 0 && std::find(legal.begin(), legal.end(), choice.parameter) == legal.end()) {
    fields.wrong(fields.says("parameter", fields.need("parameter")) + " is no parameter of " + in_quotes(choice.algorithm));
  }
  const std::string protocol = fields.text("protocol", protocol_name(Protocol::kStaged));
  if (protocol == protocol_name(Protocol::kInline)) {
    choice.protocol = Protocol::kInline;
  } else if (protocol != protocol_name(Protocol::kStaged)) {
    fields.wrong(fields.name() + ": there is no protocol " + in_quotes(protocol) + ": give inline or staged");
  }
  choice.slice_bytes = static_cast<uint32_t>(fields.whole("slice_bytes", 0, 0));
  return choice;
}

TunedChoice read_tuned(Fields& fields) {
  TunedChoice tuned;
  tuned.situation = {.collective = read_collective(fields),
                     .ranks = read_count(fields, "ranks"),
                     .nodes = read_count(fields, "nodes"),
                     .transport = fields.text("transport")};
  if (tuned.situation.ranks % tuned.situation.nodes != 0) {
    fields.wrong(fields.name() + ": " + std::to_string(tuned.situation.ranks) + " ranks are not equally many on each of " +
                 std::to_string(tuned.situation.nodes) + " nodes");
  }
  if (const Json* const most = fields.find("most_bytes")) {
    if (!most->is_number_unsigned()) fields.wrong(fields.says("most_bytes", *most) + " must be a whole number of bytes");
    tuned.most_bytes = most->get<size_t>();
  }
  tuned.choice = read_choice(fields);
  if (fields.find("measured_us") != nullptr) tuned.measured_us = fields.number("measured_us");
  if (!(tuned.measured_us >= 0) || !std::isfinite(tuned.measured_us)) {
    fields.wrong(fields.says("measured_us", fields.need("measured_us")) + " must be 0 or more");
  }
  return tuned;
}

// Ascending, side by side, and all sizes covered.
void check_order(const std::vector<TunedChoice>& choices) {
  std::vector<Situation> closed;
  for (size_t i = 0; i < choices.size(); ++i) {
    const TunedChoice& here = choices[i];
    const std::string name = "choices[" + std::to_string(i) + "]";
    const bool follows = i > 0 && choices[i - 1].situation == here.situation;
    if (follows && here.most_bytes <= choices[i - 1].most_bytes) {
      throw Wrong{"choices", i,
                  name + ": most_bytes is not more than that before it: let the sizes of " + describe(here.situation) + " ascend"};
    }
    const bool ends = i + 1 == choices.size() || !(choices[i + 1].situation == here.situation);
    if (ends && here.most_bytes != kNoLimit) {
      throw Wrong{"choices", i,
                  name + " is the last for " + describe(here.situation) +
                      ", but has most_bytes: leave it out there, so that all sizes are covered"};
    }
    if (!ends) continue;
    if (std::find(closed.begin(), closed.end(), here.situation) != closed.end()) {
      throw Wrong{"choices", i, name + ": " + describe(here.situation) + " stands at two places: put its choices side by side, once each"};
    }
    closed.push_back(here.situation);
  }
}

Tuning read_tuning(const Json& json) {
  Fields root(json, "", 0);
  root.need("version");
  if (const int version = root.whole("version", 0, 0); version != kVersion) {
    root.wrong("is of version " + std::to_string(version) + ", but this library reads version " + std::to_string(kVersion) +
               ": make it again with tutti-plan tune");
  }
  Tuning tuning{.name = root.text("name", ""), .choices = {}};
  for_each(root, "choices", true, [&](Fields& fields) { tuning.choices.push_back(read_tuned(fields)); });
  root.refuse_unknown();
  check_order(tuning.choices);
  return tuning;
}

// nullopt where ranks have accelerators, or nodes are not equal: nothing measured holds there.
std::optional<Situation> situation_of(const PlanRequest& request, const Topology& topology, const std::string& transport) {
  std::map<std::string, int> ranks_of;
  for (const Endpoint& endpoint : topology.graph().endpoints) {
    if (endpoint.rank < 0) continue;
    if (endpoint.device != "host") return std::nullopt;
    ++ranks_of[endpoint.node];
  }
  const int nodes = static_cast<int>(ranks_of.size());
  for (const auto& [node, ranks] : ranks_of) {
    if (ranks * nodes != request.nranks) return std::nullopt;
  }
  return Situation{.collective = request.collective, .ranks = request.nranks, .nodes = nodes, .transport = transport};
}

std::string reason_of(const TunedChoice& tuned, const std::string& name) {
  char text[64] = "measured to be the fastest";
  if (tuned.measured_us > 0) std::snprintf(text, sizeof text, "measured to be the fastest, %.4g us", tuned.measured_us);
  return std::string(text) + " (tuning file" + (name.empty() ? "" : " " + name) + ")";
}

}  // namespace

std::string tuning_to_json(const Tuning& tuning) {
  Json choices = Json::array();
  for (const TunedChoice& tuned : tuning.choices) {
    Json row = {{"collective", collective_name(tuned.situation.collective)},
                {"ranks", tuned.situation.ranks},
                {"nodes", tuned.situation.nodes},
                {"transport", tuned.situation.transport}};
    if (tuned.most_bytes != kNoLimit) row["most_bytes"] = tuned.most_bytes;
    row["algorithm"] = tuned.choice.algorithm;
    row["channels"] = tuned.choice.channels;
    row["parameter"] = tuned.choice.parameter;
    row["protocol"] = protocol_name(tuned.choice.protocol);
    row["slice_bytes"] = tuned.choice.slice_bytes;
    if (tuned.measured_us > 0) row["measured_us"] = tuned.measured_us;
    choices.push_back(std::move(row));
  }
  // A row a line: people read and edit this.
  std::string text = "{\"version\": " + std::to_string(kVersion) +
                     ", \"name\": " + Json(tuning.name).dump(-1, ' ', false, Json::error_handler_t::replace) + ",\n \"choices\": [";
  for (size_t i = 0; i < choices.size(); ++i) {
    text += (i == 0 ? "\n  " : ",\n  ") + choices[i].dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return text + "]}\n";
}

Result<Tuning> tuning_from_json(std::string_view text, const std::string& file) {
  return read_strictly<Tuning>(text, "tuning file " + file, read_tuning);
}

Result<Tuning> read_tuning_file(const std::string& path) {
  const Result<std::string> text = read_text_file(path, "tuning file", kMostFileBytes);
  if (!text.ok()) return text.status();
  return tuning_from_json(text.value(), path);
}

uint64_t tuning_hash(const Tuning& tuning) {
  return text_hash(tuning_to_json(tuning));
}

std::vector<RuledRange> tuned_ranges(const Tuning& tuning, const PlanRequest& request, const Topology& topology,
                                     const std::string& transport, size_t inline_bytes) {
  std::vector<RuledRange> ranges;
  if (request.uneven || request.rank_ordered) return ranges;  // not what was measured
  const std::optional<Situation> here = situation_of(request, topology, transport);
  if (!here) return ranges;
  const auto add = [&](size_t most_bytes, const PlanChoice& choice) {
    if (ranges.empty() || most_bytes > ranges.back().most_bytes) ranges.push_back({most_bytes, choice});
  };
  for (const TunedChoice& tuned : tuning.choices) {
    if (!(tuned.situation == *here)) continue;
    PlanChoice choice = tuned.choice;
    const int most_channels = find_algorithm(choice.algorithm)->max_channels(request, topology);
    if (most_channels == 0) return {};
    choice.channels = std::min(choice.channels, most_channels);
    choice.reason = reason_of(tuned, tuning.name);
    choice.source = ChoiceSource::kTable;
    if (choice.protocol == Protocol::kInline) {
      if (inline_bytes > 0) add(std::min(tuned.most_bytes, inline_bytes), choice);
      choice.protocol = Protocol::kStaged;
      if (tuned.most_bytes <= inline_bytes) continue;
    }
    add(tuned.most_bytes, choice);
  }
  return ranges;
}

}  // namespace tutti
