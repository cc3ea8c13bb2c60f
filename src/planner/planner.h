// Chooses a plan for a request, keeps it, and says why. A request's bytes select one of a few ranges; each range keeps its choice and its
// program, so that every call but the first is a look-up of a few comparisons.
//
// A forced algorithm goes before all; then come an imported plan, what a tuner says (overrides.h), and a tuning file that knows the
// situation (tuning.h). Else on one plain host the choices follow the rules that were measured on another such (rules.h). On a machine with
// more structure (several nodes, a declared or a measured topology) they come of a search (search.h), made at the first request of its
// kind.
//
// Invariant: the choice depends only on what all ranks agree on (PlanRequest, bytes, the settings compared at init).
// Threading: one thread at a time (as its communicator).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "plan/bound.h"
#include "plan/program.h"
#include "plan/request.h"
#include "planner/forced.h"
#include "planner/overrides.h"
#include "planner/predictor.h"
#include "planner/rules.h"
#include "planner/tuning.h"
#include "topology/topology.h"

namespace tutti {

// A choice and this rank's program for it. `id` counts from 0 and indexes what others keep beside it.
struct PlannedProgram {
  int id = 0;
  PlanRequest request;
  PlanChoice choice;
  Program program;
};

// What the planner may assume about the transport; equal on all ranks.
struct PlannerLimits {
  uint32_t inline_bytes = 0;     // payload of an inline slot; 0: no inline protocol
  std::string forced_algorithm;  // as TUTTI_ALGORITHM has it (forced.h)
  bool carried = false;          // some ranks are joined by a network, not by memory
  uint32_t slot_bytes = 64 << 10;
  uint32_t slots = 4;
  std::string transport = {};                      // its name
  std::shared_ptr<const Tuning> tuning = nullptr;  // shared_ptr: with the communicator's children. nullptr: there is none
};

// Why a request gets its plan.
struct PlanExplanation {
  PlanChoice choice;
  std::optional<double> predicted_us;  // nothing: it cannot be predicted
  Bound bound;
  std::optional<Candidate> second;  // the fastest that is predicted of what was not chosen

  std::optional<double> percent_of_bound() const {
    return predicted_us && *predicted_us > 0 ? std::optional(100 * bound.time_us / *predicted_us) : std::nullopt;
  }
};

class Planner {
 public:
  // Errors: kInvalidArgument (the forced algorithm does not exist, or not so; empty: none is forced).
  static Status check(const std::string& forced_algorithm);

  // Errors: those of check().
  static Result<std::unique_ptr<Planner>> create(std::unique_ptr<const Topology> topology, int rank, const PlannerLimits& limits);

  // `bytes` of the request's block, of elements of `type_bytes`. The result lives as long as the planner; nullptr: rank 0 has not said yet
  // what its tuner makes of it. Errors: kInvalidUsage (the forced algorithm cannot do it; the tuner's choice cannot be made).
  Result<const PlannedProgram*> program_for(const PlanRequest& request, size_t bytes, uint32_t type_bytes = 1);

  // What program_for would choose. `request.nranks` is this communicator's. Where rank 0 has not said yet, what the choice is without its
  // tuner.
  Result<PlanChoice> choose(const PlanRequest& request, size_t bytes, uint32_t type_bytes = 1) const;

  // choose(), with what the simulator says of it, of what came second and of what the machine allows. Dear: it searches. Errors: as
  // choose().
  Result<PlanExplanation> explain(const PlanRequest& request, size_t bytes, uint32_t type_bytes = 1) const;

  // The machine's name; "" where it has none.
  const char* machine() const { return topology_->graph().name.c_str(); }

  // Imported plans and the tuner, which go before rules and search.
  Overrides& overrides() { return overrides_; }

 private:
  struct Range : RuledRange {
    const PlannedProgram* planned = nullptr;  // from its first use on
  };
  struct Table {
    PlanRequest request;
    std::vector<Range> ranges;  // ascending; the last covers everything
  };

  Planner(std::unique_ptr<const Topology> topology, int rank, const PlannerLimits& limits, Forced forced)
      : topology_(std::move(topology)), rank_(rank), limits_(limits), forced_(std::move(forced)) {}
  const char* forced_for(const PlanRequest& request) const;
  SimulateOptions simulate_options() const;
  SearchOptions search_options() const;
  SearchOptions listing_options() const;
  Predictor& predictor() const;
  Result<PlanChoice> ranged_choice(const PlanRequest& request, size_t bytes) const;
  // explain.cc
  Result<Overrides::Answer> overriding(const PlanRequest& request, size_t bytes, uint32_t type_bytes) const;
  Result<PlanChoice> ask_tuner(const PlanRequest& request, size_t bytes, uint32_t type_bytes) const;
  Bound bound_for(const PlanRequest& request, size_t bytes) const;
  std::optional<double> predicted_us(const PlanRequest& request, const PlanChoice& choice, size_t bytes) const;
  bool by_rules() const;
  void apply_forced(const PlanRequest& request, std::vector<RuledRange>& ranges) const;
  Result<std::vector<RuledRange>> ranges_for(const PlanRequest& request) const;
  Result<Table*> table_for(const PlanRequest& request);
  const PlannedProgram* keep(const PlanRequest& request, const PlanChoice& choice);

  std::unique_ptr<const Topology> topology_;
  int rank_;
  PlannerLimits limits_;
  Forced forced_;
  mutable std::unique_ptr<Predictor> predictor_;                  // made by the first search
  mutable std::map<uint64_t, std::vector<RuledRange>> searched_;  // by the request with root 0, packed: one search for all roots
  mutable std::map<std::pair<Collective, int>, Bound> bounds_;    // of very many bytes, by collective and root
  mutable Overrides overrides_;
  std::vector<std::unique_ptr<PlannedProgram>> programs_;
  std::map<uint64_t, Table> tables_;  // by the request, packed
  Table* last_table_ = nullptr;
};

}  // namespace tutti
