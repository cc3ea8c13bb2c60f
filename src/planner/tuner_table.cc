#include "planner/tuner_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "algorithms/channel_share.h"
#include "base/log.h"
#include "plan/semantics.h"
#include "plan/verifier.h"

namespace tutti {
namespace {

constexpr size_t kRoom = 16;                         // for rows of the tuner's own
constexpr uint32_t kLeastSlice = 64;                 // a cache line
constexpr uint64_t kProvedInstructions = 1'000'000;  // of all ranks: about a second
constexpr double kNever = std::numeric_limits<double>::infinity();

bool same_row(const PlanChoice& a, const PlanChoice& b) {
  return a.algorithm == b.algorithm && a.parameter == b.parameter && a.channels == b.channels && a.slice_bytes == b.slice_bytes;
}

Status wrong(const std::string& what) {
  return {Code::kInvalidUsage, what};
}

// What a C plug-in writes into an enumeration may be any number.
template <class Enum>
int number(const Enum& value) {
  int result = 0;
  static_assert(sizeof result == sizeof value);
  std::memcpy(&result, &value, sizeof result);
  return result;
}

}  // namespace

// Row 0 is the planner's; then what was predicted, the fastest first; then what was not.
TunerTable::TunerTable(const TunerQuestion& question, const Ranking& ranking) : question_(question) {
  add(question.planned, question.planned_us);
  for (const Candidate& candidate : ranking.candidates) {
    if (!same_row(candidate.choice, question.planned)) add(candidate.choice, candidate.predicted_us);
  }
  std::set<std::pair<std::string, int>> there;
  for (const PlanChoice& choice : offered_) there.emplace(choice.algorithm, choice.parameter);
  for (const Skipped& skipped : ranking.skipped) {
    if (there.emplace(skipped.choice.algorithm, skipped.choice.parameter).second) add(skipped.choice, -1);
  }
  double least = kNever;
  for (const tuttiTunerRow_t& row : rows_) least = std::min(least, row.cost);
  rows_[0].cost = std::isinf(least) ? 0 : least;
  table_.size = sizeof table_;
  table_.count = rows_.size();
  rows_.resize(rows_.size() + kRoom);
  table_.rows = rows_.data();
  table_.capacity = rows_.size();
}

void TunerTable::add(const PlanChoice& choice, double predicted_us) {
  const bool fits_inline = question_.bytes <= question_.inline_bytes && !question_.request.uneven;
  offered_.push_back(choice);
  offered_.back().protocol = fits_inline ? Protocol::kInline : Protocol::kStaged;
  tuttiTunerRow_t row{};
  choice.algorithm.copy(row.algorithm, sizeof row.algorithm - 1);
  row.channels = choice.channels;
  row.parameter = choice.parameter;
  row.protocol = fits_inline ? tuttiProtocolInline : tuttiProtocolStaged;
  row.sliceBytes = choice.slice_bytes;
  row.predicted = predicted_us < 0 ? -1 : predicted_us;
  row.cost = predicted_us < 0 ? kNever : predicted_us;
  rows_.push_back(row);
}

std::string TunerTable::what() const {
  return std::string(" for ") + collective_name(question_.request.collective) + " of " + std::to_string(question_.bytes) + " B on " +
         std::to_string(question_.request.nranks) + " ranks";
}

std::string TunerTable::name_of(size_t index) const {
  return " row " + std::to_string(index) + " ('" + rows_[index].algorithm + "')";
}

Status TunerTable::check_shape() const {
  if (table_.rows != rows_.data() || table_.capacity != rows_.size()) {
    return wrong(" moved the rows of its table" + what() + ": they are edited in place");
  }
  if (table_.count == 0 || table_.count > table_.capacity) {
    return wrong(" left " + std::to_string(table_.count) + " rows in its table" + what() + ": leave 1 .. " +
                 std::to_string(table_.capacity));
  }
  return {};
}

Status TunerTable::check_row(size_t index) const {
  const tuttiTunerRow_t& row = rows_[index];
  if (std::memchr(row.algorithm, '\0', sizeof row.algorithm) == nullptr) {
    return wrong(" left row " + std::to_string(index) + " an algorithm's name without an end" + what());
  }
  const int verdict = number(row.verdict);
  if (verdict < tuttiVerdictNone || verdict > tuttiVerdictPreferred) {
    return wrong(" gave" + name_of(index) + " the verdict " + std::to_string(verdict) + what() + ": give one of tuttiVerdict_t");
  }
  if (verdict != tuttiVerdictForbidden && !(row.cost >= 0)) {
    return wrong(" gave" + name_of(index) + " the cost " + std::to_string(row.cost) + what() +
                 ": give microseconds, 0 or more, or INFINITY for never");
  }
  return {};
}

Result<size_t> TunerTable::winner() const {
  size_t best = table_.count;
  const auto better = [&](const tuttiTunerRow_t& row) {
    if (best == table_.count) return true;
    const bool preferred = row.verdict == tuttiVerdictPreferred, before = rows_[best].verdict == tuttiVerdictPreferred;
    return preferred != before ? preferred : row.cost < rows_[best].cost;
  };
  for (size_t i = 0; i < table_.count; ++i) {
    if (Status status = check_row(i); !status.ok()) return status;
    if (rows_[i].verdict == tuttiVerdictForbidden) continue;
    if (std::isinf(rows_[i].cost) && rows_[i].verdict != tuttiVerdictPreferred) continue;
    if (better(rows_[i])) best = i;
  }
  if (best < table_.count) return best;
  return wrong(" forbids every choice" + what() + ": leave one");
}

Result<PlanChoice> TunerTable::choice_of(size_t index, const Topology& topology) const {
  const tuttiTunerRow_t& row = rows_[index];
  const auto refuse = [&](const std::string& why) { return wrong(" chose" + name_of(index) + what() + ", but " + why); };
  const Algorithm* const algorithm = find_algorithm(row.algorithm);
  if (algorithm == nullptr) return refuse("there is no algorithm of that name: `tutti-plan list` lists them");
  const int most = algorithm->max_channels(question_.request, topology);
  if (most == 0) {
    return refuse(std::string("the algorithm cannot do that") + (question_.request.uneven ? " with uneven counts" : "") +
                  (question_.request.rank_ordered ? " in rank order" : "") + ": choose of the rows that were given");
  }
  if (row.channels < 1 || row.channels > most) {
    return refuse(std::to_string(row.channels) + " channels are not 1 .. " + std::to_string(most));
  }
  const auto& parameters = algorithm->parameters;
  if (row.parameter != 0 && std::find(parameters.begin(), parameters.end(), row.parameter) == parameters.end()) {
    return refuse("the algorithm has no parameter " + std::to_string(row.parameter));
  }
  const int protocol = number(row.protocol);
  const bool may_inline = question_.bytes <= question_.inline_bytes && !question_.request.uneven;
  if (protocol != tuttiProtocolStaged && (protocol != tuttiProtocolInline || !may_inline)) {
    return refuse("the protocol " + std::to_string(protocol) + " cannot be had for it: take tuttiProtocolStaged");
  }
  if (row.sliceBytes != 0 && row.sliceBytes < kLeastSlice) {
    return refuse("slices of " + std::to_string(row.sliceBytes) + " bytes are too short: give 0, or " + std::to_string(kLeastSlice) +
                  " and more");
  }
  PlanChoice choice{.algorithm = row.algorithm,
                    .channels = row.channels,
                    .parameter = row.parameter,
                    .protocol = protocol == tuttiProtocolInline ? Protocol::kInline : Protocol::kStaged,
                    .slice_bytes = row.sliceBytes};
  const Program program = algorithm->generate(question_.request, choice, topology, 0);
  for (size_t channel = 0; channel < program.channels.size(); ++channel) {
    if (program.fifo(channel) >= kMostShares) {
      return refuse("its channels need more than the " + std::to_string(kMostShares) + " FIFOs between two ranks: take fewer");
    }
  }
  return choice;
}

// What the planner did not offer is not merely possible but right.
Status TunerTable::prove(const PlanChoice& choice, const Topology& topology) const {
  const Algorithm& algorithm = *find_algorithm(choice.algorithm);
  const PlanRequest& request = question_.request;
  uint64_t instructions = 0;
  for (const auto& channel : algorithm.generate(request, choice, topology, 0).channels) instructions += channel.size();
  if (instructions * static_cast<uint64_t>(request.nranks) > kProvedInstructions) {
    log_info("a tuner's choice of '" + choice.algorithm + "'" + what() + " is too long to be verified here; its family is by tests");
    return {};
  }
  const Plan plan = generate_plan(algorithm, request, choice, topology);
  const VerifyOptions options{.rank_ordered = request.rank_ordered, .uneven = request.uneven};
  VerifyOptions in_place = options;
  in_place.in_place = true;
  Status status = verify(plan, options);
  if (status.ok() && has_in_place(request.collective)) status = verify(plan, in_place);
  if (status.ok()) return status;
  return wrong(" chose '" + choice.algorithm + "'" + what() + ", whose plan is wrong: " + status.message());
}

Result<PlanChoice> TunerTable::chosen(const Topology& topology, const std::string& who) {
  if (Status status = check_shape(); !status.ok()) return status;
  const Result<size_t> best = winner();
  if (!best.ok()) return best.status();
  Result<PlanChoice> choice = choice_of(best.value(), topology);
  if (!choice.ok()) return choice.status();
  const auto is_offered = [&](const PlanChoice& offered) { return same_row(offered, *choice); };
  const bool made_up = std::none_of(offered_.begin(), offered_.end(), is_offered);
  if (Status status = made_up ? prove(*choice, topology) : Status(); !status.ok()) return status;
  table_.reason[sizeof table_.reason - 1] = '\0';
  const std::string said = table_.reason[0] == '\0' ? "" : ": " + std::string(table_.reason);
  if (choice->same_plan(offered_[0])) {
    choice->reason = question_.planned.reason + "; left so by the " + who + said;
    choice->source = question_.planned.source;
    return choice;
  }
  choice->reason = "the " + who + said + "; in place of " + question_.planned.algorithm;
  choice->source = ChoiceSource::kTuner;
  return choice;
}

}  // namespace tutti
