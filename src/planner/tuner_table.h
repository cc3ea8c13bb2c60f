// The table that a tuner edits, made of a ranking, and the judgement of what has become of it.
// Threading: one thread.
#pragma once

#include <string>
#include <vector>

#include "planner/tuner.h"

namespace tutti {

class TunerTable {
 public:
  TunerTable(const TunerQuestion& question, const Ranking& ranking);

  tuttiTunerTable_t* shown() { return &table_; }

  // The choice that the table says now. `who` is for its reason. Errors (kInvalidUsage): a sentence that goes on from the plug-in's name.
  Result<PlanChoice> chosen(const Topology& topology, const std::string& who);

 private:
  void add(const PlanChoice& choice, double predicted_us);
  Status check_shape() const;
  Status check_row(size_t index) const;
  Result<size_t> winner() const;
  Result<PlanChoice> choice_of(size_t index, const Topology& topology) const;
  Status prove(const PlanChoice& choice, const Topology& topology) const;
  std::string name_of(size_t index) const;
  std::string what() const;

  const TunerQuestion& question_;
  std::vector<tuttiTunerRow_t> rows_;
  std::vector<PlanChoice> offered_;  // of the rows that the planner made
  tuttiTunerTable_t table_{};
};

}  // namespace tutti
