// What goes before rules and search: imported plans, and a tuner plug-in's choices.
//
// Plans are the same on all ranks, in the same order (compared at init, or when they are registered); of two that serve a request the later
// one does. A tuner is asked by rank 0 alone, once for all sizes between two powers of two; every choice is handed to the other ranks, who
// wait for it at the first request of its kind.
// Threading: one thread at a time (the planner's).
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "planner/imported_plan.h"
#include "planner/tuner.h"

namespace tutti {

// Names the requests that get one answer of a tuner: packed, equal on all ranks.
struct TunedKey {
  uint64_t request = 0;
  uint64_t size = 0;

  auto operator<=>(const TunedKey&) const = default;
};

// `inline_bytes`: what fits an inline slot and what does not is told apart.
TunedKey tuned_key(const PlanRequest& request, size_t bytes, uint32_t type_bytes, size_t inline_bytes);

// The largest size of those that share the key of `bytes`.
size_t asked_bytes(size_t bytes, size_t inline_bytes);

struct TunerDecision {
  TunedKey key;
  PlanChoice choice;
};

class Overrides {
 public:
  // What they say to a request.
  struct Answer {
    enum class Kind : uint8_t { kNothing, kChoice, kNotYet } kind = Kind::kNothing;
    PlanChoice choice;
  };

  bool any() const { return !plans_.empty() || tuned_; }

  void add(std::shared_ptr<const ImportedPlan> plan) { plans_.push_back(std::move(plan)); }
  // The index of the one that serves the request, -1: none does.
  int plan_for(const PlanRequest& request, size_t bytes) const;
  const ImportedPlan& plan(int index) const { return *plans_[static_cast<size_t>(index)]; }

  // Rank 0: its tuner. The others: there is one, or, as rank 0 says later, there is none.
  void use_tuner(std::unique_ptr<Tuner> tuner);
  void expect_tuner() { tuned_ = true; }
  void expect_none() { tuned_ = false; }
  bool tuned() const { return tuned_; }
  Tuner* tuner() const { return tuner_.get(); }

  // nullptr: nothing was decided yet.
  const PlanChoice* decided(const TunedKey& key) const;
  // Rank 0 decides, and take_decisions() gives what it has to hand out; the others hear() that.
  void decide(const TunedKey& key, const PlanChoice& choice);
  void hear(const TunerDecision& decision) { decided_.insert_or_assign(decision.key, decision.choice); }
  std::vector<TunerDecision> take_decisions() { return std::exchange(to_hand_out_, {}); }

 private:
  ImportedPlans plans_;
  bool tuned_ = false;
  std::unique_ptr<Tuner> tuner_;
  std::map<TunedKey, PlanChoice> decided_;
  std::vector<TunerDecision> to_hand_out_;
};

}  // namespace tutti
