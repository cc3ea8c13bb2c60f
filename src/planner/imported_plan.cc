#include "planner/imported_plan.h"

#include <fstream>
#include <sstream>

#include "algorithms/channel_share.h"
#include "plan/semantics.h"
#include "plan/serialise.h"
#include "plan/verifier.h"

namespace tutti {
namespace {

// FNV-1a, 64 bits.
uint64_t hash_text(std::string_view text, uint64_t hash) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

Status refused(const std::string& source, const std::string& why, const std::string& remedy) {
  return {Code::kInvalidArgument, source + ": " + why + ": " + remedy};
}

// What no check of plans asks, but who runs them.
Status check_fifos(const Plan& plan, const std::string& source) {
  for (const Program& program : plan.ranks) {
    for (size_t channel = 0; channel < program.channels.size(); ++channel) {
      if (program.fifo(channel) < kMostShares) continue;
      return refused(
          source, "the plan uses FIFO channel " + std::to_string(program.fifo(channel)) + " between two ranks",
          "there are " + std::to_string(kMostShares) + ": make it of fewer channels, or let several share one (fifo_of_channel)");
    }
  }
  return {};
}

bool is_xml(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '<';
}

// What fails here would be found by all callers of the collective.
Status prove(const ImportedPlan& imported) {
  const Collective collective = imported.header().collective;
  if (Status wrong = verify(imported.plan); !wrong.ok()) {
    return refused(imported.source, wrong.message(), "the plan is wrong, and may not run; `tutti-plan verify` says the same");
  }
  if (Status wrong = has_in_place(collective) ? verify(imported.plan, {.in_place = true}) : Status(); !wrong.ok()) {
    return refused(imported.source, "in place: " + wrong.message(),
                   "a call may give one buffer for input and output, so the plan has to be right for that too (`tutti-plan verify "
                   "--in-place`): read an input before its place is written, or go through scratch");
  }
  return check_fifos(imported.plan, imported.source);
}

}  // namespace

bool ImportedPlan::serves(const PlanRequest& request, size_t bytes) const {
  const Program& program = header();
  return program.collective == request.collective && program.nranks == request.nranks &&
         (!has_root(request.collective) || program.root == request.root) && (uneven || !request.uneven) &&
         (rank_ordered || !request.rank_ordered) && bytes >= plan.min_bytes && bytes <= plan.max_bytes;
}

Result<std::shared_ptr<const ImportedPlan>> import_plan(std::string_view json, const std::string& source) {
  if (is_xml(json)) {
    return refused(source, "this is XML", "plans come in as Tutti's JSON: `tutti-plan convert FILE --to json` makes it of MSCCL's XML");
  }
  Result<Plan> plan = plan_from_json(json);
  if (!plan.ok()) {
    return refused(source, plan.status().message(), "give what `tutti-plan COLLECTIVE ... --dump json` or `tutti-plan convert` prints");
  }
  auto imported = std::make_shared<ImportedPlan>();
  imported->plan = std::move(*plan);
  imported->source = source;
  if (Status wrong = prove(*imported); !wrong.ok()) return wrong;
  const Collective collective = imported->header().collective;
  imported->uneven = has_uneven(collective) && verify(imported->plan, {.uneven = true}).ok() &&
                     (!has_in_place(collective) || verify(imported->plan, {.in_place = true, .uneven = true}).ok());
  imported->rank_ordered = reduces(collective) && verify(imported->plan, {.rank_ordered = true}).ok() &&
                           (!has_in_place(collective) || verify(imported->plan, {.in_place = true, .rank_ordered = true}).ok());
  // Both at once is asked for by reduce-scatter-v alone.
  if (imported->uneven && imported->rank_ordered) {
    imported->rank_ordered = verify(imported->plan, {.rank_ordered = true, .uneven = true}).ok();
  }
  return std::shared_ptr<const ImportedPlan>(std::move(imported));
}

Result<ImportedPlans> import_plan_files(const std::string& paths) {
  ImportedPlans plans;
  for (size_t begin = 0; begin <= paths.size();) {
    const size_t end = std::min(paths.find(':', begin), paths.size());
    const std::string path = paths.substr(begin, end - begin);
    begin = end + 1;
    if (path.empty()) continue;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) {
      return refused("plan file " + path, "it cannot be read, or is empty", "give files that every rank can read, separated by colons");
    }
    Result<std::shared_ptr<const ImportedPlan>> plan = import_plan(text.str(), "plan file " + path);
    if (!plan.ok()) return plan.status();
    plans.push_back(std::move(*plan));
  }
  return plans;
}

uint64_t hash_of(const ImportedPlans& plans) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const auto& imported : plans) hash = hash_text(plan_to_json(imported->plan), hash);
  return hash;
}

}  // namespace tutti
