// A tuner plug-in (tutti/plugin.h): loaded when it is wanted, asked with a table of what the planner offers, and not believed: what it
// returns is checked against what the algorithms can do before it becomes a choice.
//
// Threading: load() and the end from any thread; choose() by one thread at a time. The plug-in's code runs in the caller's thread.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "planner/search.h"
#include "tutti/plugin.h"

namespace tutti {

// What a tuner is asked, beside the table.
struct TunerQuestion {
  PlanRequest request;
  uint32_t type_bytes = 1;
  size_t bytes = 0;         // of a block
  size_t inline_bytes = 0;  // up to which there is an inline protocol
  int nnodes = 1;
  double bound_us = 0;
  PlanChoice planned;      // what the planner would take
  double planned_us = -1;  // predicted; negative: not
};

class Tuner {
 public:
  // `name`: a path, a file name that the linker finds, or NAME of libtutti-tuner-NAME.so. The strings of `job` must outlive the tuner.
  // Errors name the plug-in, the cause and the remedy: kSystem (it cannot be loaded, or does not start), kInvalidArgument (it is none, or
  // of another version).
  static Result<std::unique_ptr<Tuner>> load(const std::string& name, const tuttiTunerJob_t& job);
  ~Tuner();
  Tuner(const Tuner&) = delete;
  Tuner& operator=(const Tuner&) = delete;

  // The choice that the tuner makes of the ranking, or the planned one where it leaves that or declines. What it makes up itself is
  // verified, unless it is very long. Errors (kInvalidUsage) name the plug-in and what is wrong with its table.
  Result<PlanChoice> choose(const TunerQuestion& question, const Ranking& ranking, const Topology& topology);

  // "tuner plug-in 'example' (/path/of.so)"
  const std::string& who() const { return who_; }

 private:
  Tuner() = default;

  std::string who_;
  tuttiTuner_t table_{};
  void* context_ = nullptr;
  bool started_ = false;
  bool declined_ = false;  // once, and it is in the log
};

}  // namespace tutti
