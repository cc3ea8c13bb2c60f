#include "planner/choice_word.h"

#include <cstdio>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

// From the top: 8 bits of the algorithm's place in the registry, from 1; 8 of channels; 1 of protocol; 15 of parameter; 32 of slice_bytes.
constexpr uint64_t kElsewhere = 255;  // in the algorithm's place: the rest is a hash
constexpr uint64_t kMostChannels = 255, kMostParameter = (1 << 15) - 1;

uint64_t place_of(const std::string& algorithm) {
  uint64_t place = 0;
  for (const Algorithm* each : algorithms()) {
    ++place;
    if (algorithm == each->name) return place < kElsewhere ? place : kElsewhere;
  }
  return kElsewhere;
}

uint64_t hash_of(const PlanChoice& choice) {
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  const auto add = [&](uint64_t value) { hash = (hash ^ value) * 0x100000001b3ull; };
  for (const char c : choice.algorithm) add(static_cast<unsigned char>(c));
  add(static_cast<uint64_t>(choice.channels));
  add(static_cast<uint64_t>(choice.protocol));
  add(static_cast<uint64_t>(choice.parameter));
  add(choice.slice_bytes);
  add(static_cast<uint64_t>(choice.imported + 1));
  return hash >> 8;
}

}  // namespace

uint64_t choice_word(const PlanChoice& choice) {
  const uint64_t place = place_of(choice.algorithm), channels = static_cast<uint64_t>(choice.channels),
                 parameter = static_cast<uint64_t>(choice.parameter);
  if (choice.imported >= 0 || place == kElsewhere || channels > kMostChannels || parameter > kMostParameter) return kElsewhere << 56 | hash_of(choice);
  return place << 56 | channels << 48 | static_cast<uint64_t>(choice.protocol) << 47 | parameter << 32 | choice.slice_bytes;
}

std::string describe_choice(uint64_t word) {
  const uint64_t place = word >> 56, channels = word >> 48 & 0xff, parameter = word >> 32 & kMostParameter, slice = word & 0xffff'ffff;
  if (place == 0 || place > algorithms().size()) {
    char text[64];
    std::snprintf(text, sizeof text, "another plan (%016llx)", static_cast<unsigned long long>(word));
    return text;
  }
  std::string text =
      std::string(algorithms()[place - 1]->name) + ", " + std::to_string(channels) + (channels == 1 ? " channel" : " channels");
  if (parameter != 0) text += ", parameter " + std::to_string(parameter);
  text += std::string(", ") + protocol_name((word >> 47 & 1) != 0 ? Protocol::kStaged : Protocol::kInline);
  if (slice != 0) text += ", slices of " + std::to_string(slice) + " B";
  return text;
}

}  // namespace tutti
