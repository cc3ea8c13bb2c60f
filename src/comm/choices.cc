#include "comm/choices.h"

#include <cstdio>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

enum Kind : uint16_t { kNoTuner = 0, kChoice = 1 };

std::string microseconds(double us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g us", us);
  return text;
}

}  // namespace

Bytes encode_no_tuner() {
  ByteWriter writer;
  writer.u16(kNoTuner);
  return writer.take();
}

Bytes encode_choice(const TunerDecision& decision) {
  const PlanChoice& choice = decision.choice;
  ByteWriter writer;
  writer.u16(kChoice);
  writer.u64(decision.key.request);
  writer.u64(decision.key.size);
  writer.text(choice.algorithm);
  writer.u32(static_cast<uint32_t>(choice.channels));
  writer.u32(static_cast<uint32_t>(choice.parameter));
  writer.u16(static_cast<uint16_t>(choice.protocol));
  writer.u32(choice.slice_bytes);
  writer.u16(static_cast<uint16_t>(choice.source));
  writer.text(choice.reason);
  return writer.take();
}

// Rank 0 has checked the choice; here only that it can be read.
Status apply_choice(std::span<const std::byte> bytes, Overrides& overrides) {
  ByteReader reader(bytes);
  if (reader.u16() == kNoTuner && reader.ok()) {
    overrides.expect_none();
    return {};
  }
  TunerDecision decision;
  PlanChoice& choice = decision.choice;
  decision.key.request = reader.u64();
  decision.key.size = reader.u64();
  choice.algorithm = reader.text();
  choice.channels = static_cast<int>(reader.u32());
  choice.parameter = static_cast<int>(reader.u32());
  const uint16_t protocol = reader.u16();
  choice.slice_bytes = reader.u32();
  const uint16_t source = reader.u16();
  choice.reason = reader.text();
  if (!reader.ok() || !reader.at_end() || find_algorithm(choice.algorithm) == nullptr || protocol > 1 ||
      source > static_cast<uint16_t>(ChoiceSource::kPlan)) {
    return {Code::kRemote, "rank 0 handed out a tuner's choice that this rank cannot read: install one build of Tutti everywhere"};
  }
  choice.protocol = static_cast<Protocol>(protocol);
  choice.source = static_cast<ChoiceSource>(source);
  overrides.hear(decision);
  return {};
}

std::string describe(const ImportedPlans& plans) {
  if (plans.empty()) return "none";
  return std::to_string(plans.size()) + (plans.size() == 1 ? " plan" : " plans") + ", hash " + std::to_string(hash_of(plans));
}

std::string describe(const PlanExplanation& explanation, Collective collective, size_t bytes) {
  const PlanChoice& choice = explanation.choice;
  std::string text = std::string(collective_name(collective)) + " of " + std::to_string(bytes) + " B: " + choice.algorithm + ", " +
                     std::to_string(choice.channels) + (choice.channels == 1 ? " channel, " : " channels, ") +
                     protocol_name(choice.protocol) + " (" + source_name(choice.source) + ": " + choice.reason + ")";
  if (explanation.predicted_us) text += "; predicted " + microseconds(*explanation.predicted_us);
  if (const auto percent = explanation.percent_of_bound()) {
    char number[32];
    std::snprintf(number, sizeof number, "%.3g", *percent);
    text +=
        ", " + std::string(number) + " % of the bound of " + microseconds(explanation.bound.time_us) + " (" + explanation.bound.cut + ")";
  }
  if (explanation.second) {
    text += "; second " + explanation.second->choice.algorithm + ", " + std::to_string(explanation.second->choice.channels) +
            (explanation.second->choice.channels == 1 ? " channel, " : " channels, ") + microseconds(explanation.second->predicted_us);
  }
  return text;
}

}  // namespace tutti
