#include "tools/chain_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace tutti {
namespace {

using std::to_string;
using Reason = ChainLink::Reason;

constexpr size_t kColumns = 80;
constexpr size_t kLongestPattern = 16;  // of links that repeat together

// One link of the chain, oldest first: what happened between the end of the one before it and its own.
struct Part {
  double us = 0;
  Reason reason = Reason::kStart;
  std::string does;  // the instruction's name
  int rank = 0;
  int peer = kNoPeer;  // whose message or slot it waited for
  uint64_t slice = 0;
  std::vector<uint32_t> way;  // of that message

  // Whether the two are the same thing on another rank, or in another slice.
  bool like(const Part& other, const Topology& topology) const {
    return reason == other.reason && does == other.does && std::fabs(us - other.us) <= 1e-3 * std::max(us, other.us) + 1e-9 &&
           narrowest(topology) == other.narrowest(topology) && way.size() == other.way.size();
  }
  // "nvlink, 450 GB/s": of the way's slowest link.
  std::string narrowest(const Topology& topology) const {
    const Link* least = nullptr;
    for (const uint32_t edge : way) {
      const Link& link = topology.graph().links[edge];
      if (least == nullptr || link.GBps * link.count < least->GBps * least->count) least = &link;
    }
    if (least == nullptr) return "";
    char rate[32];
    std::snprintf(rate, sizeof rate, "%g GB/s", least->GBps * least->count);
    return (least->kind.empty() ? "" : least->kind + ", ") + rate;
  }
};

std::vector<Part> parts_of(const Simulated& simulated, const Topology& topology, const std::function<const Program&(int)>& program_of) {
  std::vector<Part> parts;
  double before_us = 0;
  for (size_t i = simulated.chain.size(); i-- > 0;) {
    const ChainLink& link = simulated.chain[i];
    const Instruction& instruction = program_of(link.rank).channels[static_cast<size_t>(link.channel)][static_cast<size_t>(link.index)];
    Part part{.us = link.end_us - before_us,
              .reason = link.reason,
              .does = opcode_name(instruction),
              .rank = link.rank,
              .slice = link.slice,
              .way = {}};
    if (link.reason == Reason::kMessage) part.peer = instruction.recv_peer;
    if (link.reason == Reason::kSlot) part.peer = instruction.send_peer;
    if (link.reason == Reason::kMessage) part.way = topology.network().route(part.peer, part.rank);
    before_us = link.end_us;
    parts.push_back(std::move(part));
  }
  return parts;
}

// A stretch of the chain that repeats a pattern of `length` parts `times` times.
struct Stretch {
  size_t begin = 0;
  size_t length = 1;
  size_t times = 1;
};

// The longest repetition that begins at `begin`, by the shortest pattern.
Stretch stretch_at(const std::vector<Part>& parts, size_t begin, const Topology& topology) {
  Stretch best{.begin = begin};
  for (size_t length = 1; length <= std::min(kLongestPattern, (parts.size() - begin) / 2); ++length) {
    size_t end = begin + length;
    while (end < parts.size() && parts[end].like(parts[end - length], topology)) ++end;
    const size_t times = (end - begin) / length;
    if (times > 1 && times * length > best.times * best.length) best = {begin, length, times};
  }
  return best;
}

// "3", or "1, 2 .. 7".
std::string list(const std::vector<int>& numbers) {
  std::string text = to_string(numbers[0]);
  const bool all_same = std::all_of(numbers.begin(), numbers.end(), [&](int each) { return each == numbers[0]; });
  if (all_same) return text;
  if (numbers.size() > 2) text += ", " + to_string(numbers[1]);
  return text + (numbers.size() > 3 ? " .. " : ", ") + to_string(numbers.back());
}

std::string words(const std::vector<Part>& parts, const Stretch& stretch, size_t offset, const Topology& topology) {
  std::vector<int> ranks, peers;
  for (size_t i = 0; i < stretch.times; ++i) {
    const Part& part = parts[stretch.begin + i * stretch.length + offset];
    ranks.push_back(part.rank);
    peers.push_back(part.peer);
  }
  const Part& first = parts[stretch.begin + offset];
  const uint64_t last_slice = parts[stretch.begin + (stretch.times - 1) * stretch.length + offset].slice;
  std::string text = "rank " + list(ranks) + ": " + first.does;
  switch (first.reason) {
    case Reason::kStart: text += ", at the start"; break;
    case Reason::kProgramOrder: text += ", after its own step before"; break;
    case Reason::kAfter: text += ", after a step of another channel"; break;
    case Reason::kSlot: text += ", when " + list(peers) + " has freed a slot"; break;
    case Reason::kMessage: text += ", message from " + list(peers); break;
  }
  if (first.slice != last_slice) {
    text += "; slices " + to_string(first.slice) + " .. " + to_string(last_slice);
  } else if (first.slice != 0) {
    text += "; slice " + to_string(first.slice);
  }
  if (first.way.empty()) return text;
  const auto& links = topology.graph().links;
  text += "; " + links[first.way[0]].from;
  for (const uint32_t edge : first.way) text += " -> " + links[edge].to;
  return text + " (" + first.narrowest(topology) + ")";
}

// Breaks a text between words; what follows the first line is indented.
std::string wrapped(const std::string& head, const std::string& text) {
  std::string out, line = head;
  const std::string indent(head.size(), ' ');
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    const bool fresh = line.size() <= head.size();
    if (!fresh && line.size() + 1 + word.size() > kColumns) {
      out += line + "\n";
      line = indent + word;
    } else {
      line += (fresh ? "" : " ") + word;
    }
    at = end + 1;
  }
  return out + line + "\n";
}

}  // namespace

std::string describe_chain(const Simulated& simulated, const Topology& topology, const std::function<const Program&(int)>& program_of,
                           size_t most_lines) {
  const std::vector<Part> parts = parts_of(simulated, topology, program_of);
  if (parts.empty()) return "no message has to be waited for\n";
  char line[128];
  std::string out;
  std::snprintf(line, sizeof line, "%11s %6s %11s  %s\n", "us together", "times", "us each", "what");
  out += line;
  size_t lines = 0;
  for (size_t at = 0; at < parts.size();) {
    const Stretch stretch = stretch_at(parts, at, topology);
    at += stretch.length * stretch.times;
    for (size_t offset = 0; offset < stretch.length; ++offset) {
      double us = 0;
      for (size_t i = 0; i < stretch.times; ++i) us += parts[stretch.begin + i * stretch.length + offset].us;
      if (++lines > most_lines) continue;
      std::snprintf(line, sizeof line, "%11.3f %6zu %11.3f  ", us, stretch.times, us / static_cast<double>(stretch.times));
      out += wrapped(line, words(parts, stretch, offset, topology));
    }
  }
  if (lines > most_lines) out += wrapped("  ", "... and " + to_string(lines - most_lines) + " lines more");
  std::snprintf(line, sizeof line, "%11.3f        in all\n", simulated.chain.front().end_us);
  // A message from another rank continues that rank's part of the chain, unless rank 0 was followed for all.
  const bool one_for_all = std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.rank == 0; });
  const bool has_message = std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.reason == Reason::kMessage; });
  return out + line + (one_for_all && has_message ? "every rank does the same at the same time; rank 0 stands for all\n" : "");
}

}  // namespace tutti
