#include "comm/register_plan.h"

#include "comm/gather_all.h"

namespace tutti {
namespace {

// What a rank brought: its plan's hash, or what is wrong.
struct Brought {
  uint64_t hash = 0;
  int32_t code = 0;
  char text[1012]{};
};

Result<std::shared_ptr<const ImportedPlan>> read(const Communicator& comm, std::optional<std::string_view> json, size_t min_bytes,
                                                 size_t max_bytes) {
  const std::string source = "the plan given to tuttiCommRegisterPlan";
  if (!json) return Status(Code::kInvalidArgument, "json is NULL: give the text of a plan");
  if (max_bytes < min_bytes) {
    return Status(Code::kInvalidArgument,
                  "maxBytes is " + std::to_string(max_bytes) + ", less than minBytes, " + std::to_string(min_bytes));
  }
  Result<std::shared_ptr<const ImportedPlan>> plan = import_plan(*json, source);
  if (!plan.ok()) return plan;
  if (const int ranks = (*plan)->header().nranks; ranks != comm.nranks()) {
    return Status(Code::kInvalidArgument, source + " is for " + std::to_string(ranks) + " ranks, but the communicator has " +
                                              std::to_string(comm.nranks()) + ": make one for these");
  }
  if (max_bytes == 0) return plan;
  auto in_range = std::make_shared<ImportedPlan>(**plan);
  in_range->plan.min_bytes = min_bytes;
  in_range->plan.max_bytes = std::min<uint64_t>(max_bytes, Plan::kAnyBytes);
  return std::shared_ptr<const ImportedPlan>(std::move(in_range));
}

}  // namespace

Status register_plan(Communicator& comm, std::optional<std::string_view> json, size_t min_bytes, size_t max_bytes) {
  Result<std::shared_ptr<const ImportedPlan>> plan = read(comm, json, min_bytes, max_bytes);
  Brought mine;
  mine.code = static_cast<int32_t>(plan.status().code());
  plan.status().message().copy(mine.text, sizeof mine.text - 1);
  if (plan.ok()) mine.hash = hash_of({*plan});
  const Result<std::vector<Brought>> all = gather_all(comm, mine);
  if (!all.ok()) return all.status();
  for (int rank = 0; rank < comm.nranks(); ++rank) {
    const Brought& brought = all.value()[static_cast<size_t>(rank)];
    if (brought.code == 0) continue;
    return {static_cast<Code>(brought.code), describe(comm.member(rank)) + ": " + brought.text};
  }
  for (int rank = 1; rank < comm.nranks(); ++rank) {
    if (all.value()[static_cast<size_t>(rank)].hash == all.value()[0].hash) continue;
    Status differ(Code::kInvalidUsage, "ranks registered different plans or sizes: " + describe(comm.member(0)) + " and " +
                                           describe(comm.member(rank)) + ": give all ranks the same");
    comm.note_error(differ);
    return differ;
  }
  comm.add_plan(std::move(*plan));
  return {};
}

}  // namespace tutti
