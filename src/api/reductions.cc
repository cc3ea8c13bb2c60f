// The C entry points that create and destroy reductions, and that register and explain plans.
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/checks.h"
#include "api/group.h"
#include "comm/register_plan.h"

using namespace tutti;

namespace tutti {
namespace {

constexpr int kFirstCreated = tuttiAvg + 1;

Status create(Communicator& comm, const CreatedReduction& reduction, tuttiRedOp_t* op) {
  *op = static_cast<tuttiRedOp_t>(kFirstCreated + comm.add_reduction(reduction));
  return {};
}

Status create_premul_sum(tuttiRedOp_t* op, const void* scalar, int datatype, Communicator& comm) {
  if (op == nullptr) return bad_argument("op is NULL");
  if (scalar == nullptr) return bad_argument("scalar is NULL");
  const Result<DataType> type = check_type(datatype);
  if (!type.ok()) return type.status();
  CreatedReduction reduction = {.premul = true};
  reduction.call.arithmetic.type = type.value();
  reduction.call.scale = true;
  if (Status status = comm.read(reduction.call.arithmetic.scalar, scalar, type_bytes(type.value())); !status.ok()) return status;
  return create(comm, reduction, op);
}

Status create_user(tuttiRedOp_t* op, tuttiReduceFunction_t function, int commutative, void* context, Communicator& comm) {
  if (op == nullptr) return bad_argument("op is NULL");
  if (function == nullptr) return bad_argument("function is NULL");
  CreatedReduction reduction;
  reduction.call.user = {.function = function, .context = context};
  reduction.call.commutes = commutative != 0;
  return create(comm, reduction, op);
}

Status destroy(int op, Communicator& comm) {
  CreatedReduction* const reduction = comm.reduction(op - kFirstCreated);
  if (reduction == nullptr)
    return bad_argument("op " + std::to_string(op) + " was not created on this communicator, or was destroyed already");
  reduction->alive = false;
  return {};
}

Result<Collective> check_collective(int collective) {
  switch (collective) {
    case tuttiCollectiveAllReduce: return Collective::kAllReduce;
    case tuttiCollectiveAllGather: return Collective::kAllGather;
    case tuttiCollectiveReduceScatter: return Collective::kReduceScatter;
    case tuttiCollectiveBroadcast: return Collective::kBroadcast;
    case tuttiCollectiveReduce: return Collective::kReduce;
    case tuttiCollectiveGather: return Collective::kGather;
    case tuttiCollectiveScatter: return Collective::kScatter;
    case tuttiCollectiveAllToAll: return Collective::kAllToAll;
    case tuttiCollectiveBarrier: return Collective::kBarrier;
  }
  return bad_argument("collective " + std::to_string(collective) + " is unknown: give one of tuttiCollective_t");
}

std::string to_json(const Communicator& comm, Collective collective, const Explanation& explanation) {
  using Json = nlohmann::ordered_json;
  const PlanExplanation& plan = explanation.plan;
  const auto or_null = [](const std::optional<double>& number) { return number ? Json(*number) : Json(); };
  Json second;
  if (plan.second) {
    second = {{"algorithm", plan.second->choice.algorithm},
              {"channels", plan.second->choice.channels},
              {"predicted_us", plan.second->predicted_us}};
  }
  const Json json = {{"collective", collective_name(collective)},
                     {"ranks", comm.nranks()},
                     {"bytes", explanation.bytes},
                     {"algorithm", plan.choice.algorithm},
                     {"channels", plan.choice.channels},
                     {"protocol", protocol_name(plan.choice.protocol)},
                     {"transport", explanation.transport},
                     {"reason", plan.choice.reason},
                     {"source", source_name(plan.choice.source)},
                     {"predicted_us", or_null(plan.predicted_us)},
                     {"bound_us", plan.bound.time_us},
                     {"percent_of_bound", or_null(plan.percent_of_bound())},
                     {"binding_cut", plan.bound.cut},
                     {"second", second}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status explain(Communicator& comm, int asked, size_t count, int datatype, int op, int root, char* text, size_t capacity, size_t* length) {
  const Result<Collective> collective = check_collective(asked);
  if (!collective.ok()) return collective.status();
  if (text == nullptr && capacity != 0) return bad_argument("text is NULL, but capacity is not 0");
  size_t most_bytes = 0;  // of all blocks of the largest type
  if (__builtin_mul_overflow(count, static_cast<size_t>(comm.nranks()) * sizeof(double), &most_bytes)) {
    return bad_argument("count is " + std::to_string(count) + ", more than memory can hold: was it computed from a negative number?");
  }
  Request request = {.collective = collective.value(), .count = count, .root = has_root(collective.value()) ? root : 0};
  if (has_root(request.collective)) {
    if (Status status = check_root(root, comm); !status.ok()) return status;
  }
  const int asked_op = reduces(request.collective) ? op : int{tuttiSum};
  if (Status status = check_reduction(asked_op, datatype, comm, request.reduction); !status.ok()) return status;
  const Result<Explanation> explanation = comm.explain(request);
  if (!explanation.ok()) return explanation.status();
  const std::string json = to_json(comm, request.collective, explanation.value());
  if (length != nullptr) *length = json.size();
  if (capacity != 0) text[json.copy(text, capacity - 1)] = '\0';
  return {};
}

// Takes part even where the arguments are wrong: the others wait for this rank.
Status register_plan_for(Communicator& comm, const char* json, size_t min_bytes, size_t max_bytes) {
  if (Group::any_open()) return {Code::kInvalidUsage, "a plan cannot be registered in a group: call it outside"};
  return register_plan(comm, json == nullptr ? std::nullopt : std::optional<std::string_view>(json), min_bytes, max_bytes);
}

}  // namespace
}  // namespace tutti

extern "C" {

tuttiResult_t tuttiRedOpCreatePreMulSum(tuttiRedOp_t* op, const void* scalar, tuttiDataType_t datatype, tuttiComm_t comm) {
  return guarded_on("tuttiRedOpCreatePreMulSum", comm,
                    [&](Communicator& c) { return create_premul_sum(op, scalar, number_of(datatype), c); });
}

tuttiResult_t tuttiRedOpCreateUser(tuttiRedOp_t* op, tuttiReduceFunction_t function, int commutative, void* context, tuttiComm_t comm) {
  return guarded_on("tuttiRedOpCreateUser", comm, [&](Communicator& c) { return create_user(op, function, commutative, context, c); });
}

tuttiResult_t tuttiRedOpDestroy(tuttiRedOp_t op, tuttiComm_t comm) {
  return guarded_on("tuttiRedOpDestroy", comm, [&](Communicator& c) { return destroy(number_of(op), c); });
}

tuttiResult_t tuttiCommRegisterPlan(tuttiComm_t comm, const char* json, size_t minBytes, size_t maxBytes) {
  return refuse_in_group(
      guarded_on("tuttiCommRegisterPlan", comm, [&](Communicator& c) { return register_plan_for(c, json, minBytes, maxBytes); }));
}

tuttiResult_t tuttiCommExplain(tuttiComm_t comm, tuttiCollective_t collective, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op,
                               int root, char* text, size_t capacity, size_t* length) {
  return guarded_on("tuttiCommExplain", comm, [&](Communicator& c) {
    return explain(c, number_of(collective), count, number_of(datatype), number_of(op), root, text, capacity, length);
  });
}

}  // extern "C"
