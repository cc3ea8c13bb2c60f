#include "comm/lane.h"

#include <bit>

#include "base/log.h"
#include "comm/communicator.h"

namespace tutti {
namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

// What all ranks of a call must agree on, in 16 bits: it travels with every message. Odd, because an unused slot holds 0. `number`: the
// how-manieth of the communicator's collectives.
uint16_t signature_of(const Request& request, size_t count, uint64_t number) {
  const ReductionCall& reduction = request.reduction;
  const uint64_t kinds = static_cast<uint64_t>(request.collective) << 32 | static_cast<uint64_t>(reduction.arithmetic.type) << 24 |
                         static_cast<uint64_t>(reduction.arithmetic.op) << 16 | uint64_t{reduction.scale} << 2 |
                         uint64_t{reduction.divide} << 1 | uint64_t{reduction.user.function != nullptr};
  return static_cast<uint16_t>(mix(mix(mix(kinds, count), static_cast<uint64_t>(request.root)), number) >> 48 | 1);
}

}  // namespace

Lane::Lane(Communicator& comm, int index, int lanes)
    : comm_(comm),
      executor_(comm.device(), *comm.transport_, index, comm.config_.stream_bytes),
      lanes_shift_(std::countr_zero(static_cast<unsigned>(lanes))) {}

Result<Launch*> Lane::launch_for(const Request& request) {
  const PlanRequest shape = comm_.plan_request(request);
  const size_t bytes = request.uneven ? request.agreed_bytes.value_or(0) : request.count * type_bytes(request.reduction.arithmetic.type);
  if (last_launch_ != nullptr && bytes == last_bytes_ && shape == last_shape_) return last_launch_;
  const Result<const PlannedProgram*> found = comm_.plan(shape, bytes);
  if (!found.ok()) return found.status();
  const PlannedProgram& planned = *found.value();
  const auto id = static_cast<size_t>(planned.id);
  if (launches_.size() <= id) launches_.resize(id + 1);
  if (launches_[id] == nullptr) {
    const PlanChoice& choice = planned.choice;
    Result<std::unique_ptr<Launch>> launch = executor_.bind(planned.program, choice.protocol, choice.slice_bytes, comm_.config_.timeout_s);
    if (!launch.ok()) return launch.status();
    launches_[id] = std::move(*launch);
  }
  last_shape_ = shape;
  last_bytes_ = bytes;
  last_launch_ = launches_[id].get();
  return last_launch_;
}

Status Lane::begin(const Request& request, uint64_t number) {
  current_ = &request;
  number_ = number;
  warned_ = false;
  if (comm_.async_error() != Code::kOk) return fail(comm_.usable());
  const Status status = request.collective == Collective::kSendRecv ? start_point_to_point(request) : start(request);
  return status.ok() ? status : fail({status.code(), describe() + ": " + status.message()});
}

Status Lane::start(const Request& request) {
  const Result<Launch*> launch = launch_for(request);
  if (!launch.ok()) return launch.status();
  const ReductionCall& reduction = request.reduction;
  for (const std::span<Block> blocks : {request.input_blocks, request.output_blocks}) {
    for (Block& block : blocks) block.signature = signature_of(request, block.elems, number_);
  }
  operands_ = {.input = request.input,
               .output = request.collective == Collective::kBarrier ? &barrier_token_ : request.output,
               .count = request.count,
               .uneven = request.uneven,
               .input_blocks = request.input_blocks,
               .output_blocks = request.output_blocks,
               .arithmetic = reduction.arithmetic,
               .scale = reduction.scale,
               .divide = reduction.divide,
               .user = reduction.user.function != nullptr ? &reduction.user : nullptr,
               .signature = signature_of(request, request.count, number_)};
  return executor_.start(*launch.value(), operands_);
}

Status Lane::start_point_to_point(const Request& request) {
  Result<PointToPointPlan> plan = plan_point_to_point(request.calls, comm_.rank_, comm_.nranks_);
  if (!plan.ok()) return plan.status();
  group_plan_ = std::move(*plan);
  Result<std::unique_ptr<Launch>> launch = executor_.bind(group_plan_.program, Protocol::kStaged, 0, comm_.config_.timeout_s);
  if (!launch.ok()) return launch.status();
  group_launch_ = std::move(*launch);
  operands_ = {
      .uneven = true, .input_blocks = group_plan_.inputs, .output_blocks = group_plan_.outputs, .arithmetic = {.type = DataType::kUint8}};
  return executor_.start(*group_launch_, operands_);
}

Result<Lane::Progress> Lane::advance() {
  switch (executor_.step()) {
    case StepResult::kDone: finish(); return Progress::kDone;
    case StepResult::kMoved: return Progress::kMoved;
    case StepResult::kBlocked: return Progress::kBlocked;
    case StepResult::kDeviceFailed: return fail({Code::kSystem, describe() + ": " + executor_.device_failure()});
    case StepResult::kMismatch: break;
  }
  return fail(
      {Code::kInvalidUsage, describe() + ": " + comm_.describe_peer(executor_.waiting_for().peer) +
                                " sent data of another call: all ranks must make the same calls in the same order, with equal counts, "
                                "types, reductions and roots (and v-counts that match)"});
}

Status Lane::look(double waited_s) {
  if (comm_.aborted()) return fail({Code::kAborted, describe() + ": the communicator was aborted"});
  const WaitingFor waiting = executor_.waiting_for();
  if (waiting.own_device) return look_at_device(waited_s);
  if (waiting.peer == kNoPeer) return {};
  if (const PeerState state = comm_.transport_->peer_state(waiting.peer); state != PeerState::kAlive) {
    // What it sent before it went is there by now: only if that does not help is its going a failure.
    if (executor_.step() != StepResult::kBlocked) return {};
    return fail(peer_gone(executor_.waiting_for(), state));
  }
  const Config& config = comm_.config_;
  if (config.timeout_s > 0 && waited_s >= config.timeout_s) {
    return fail({Code::kTimeout, describe() + ": waited " + std::to_string(waited_s) + " s for " + comm_.describe_peer(waiting.peer) +
                                     ", which never came to this call or is stuck in it (" + (waiting.for_credit ? "credit" : "data") +
                                     ", channel " + std::to_string(waiting.channel) + ", step " + std::to_string(waiting.instruction) +
                                     "; timeout, TUTTI_TIMEOUT)"});
  }
  if (!warned_ && config.warn_after_s > 0 && waited_s >= config.warn_after_s) {
    warned_ = true;
    log_warn(describe() + ": waiting for " + comm_.describe_peer(waiting.peer) + " for " + std::to_string(waited_s) + " s");
  }
  return {};
}

Status Lane::look_at_device(double waited_s) {
  const Config& config = comm_.config_;
  const auto waits = [&] {
    return std::string(" for its own device ") + comm_.device().name() + ", which does not finish what it was given";
  };
  if (config.timeout_s > 0 && waited_s >= config.timeout_s)
    return fail({Code::kTimeout, describe() + ": waited " + std::to_string(waited_s) + " s" + waits() + " (timeout, TUTTI_TIMEOUT)"});
  if (!warned_ && config.warn_after_s > 0 && waited_s >= config.warn_after_s) {
    warned_ = true;
    log_warn(describe() + ": waiting" + waits() + ", for " + std::to_string(waited_s) + " s");
  }
  return {};
}

Status Lane::settle() {
  return executor_.settle(comm_.config_.device_wait_s);
}

Status Lane::peer_gone(const WaitingFor& waiting, PeerState state) const {
  const char* const how = state == PeerState::kDied ? " died: see what its process said last"
                          : state == PeerState::kAborted
                              ? " failed or was aborted: its own error says why"
                              : " left the communicator and will not take part: all ranks must make the same calls";
  return {Code::kRemote, describe() + ": " + comm_.describe_peer(waiting.peer) + how};
}

std::string Lane::describe() const {
  std::string text = std::string(collective_name(current_->collective)) + " number " + std::to_string(number_ + 1);
  if (current_->collective == Collective::kSendRecv) {
    text += " (" + std::to_string(current_->calls.size()) + " sends and receives)";
  } else if (current_->collective != Collective::kBarrier) {
    text += " (" + (current_->uneven ? std::string("uneven") : std::to_string(current_->count)) + " x " +
            type_name(current_->reduction.arithmetic.type);
    if (reduces(current_->collective))
      text +=
          std::string(", ") + (current_->reduction.user.function != nullptr ? "user" : reduction_name(current_->reduction.arithmetic.op));
    if (has_root(current_->collective)) text += ", root " + std::to_string(current_->root);
    text += ")";
  }
  return text + " on rank " + std::to_string(comm_.rank_);
}

// The caller gets its buffers back, so the device has to be done with them first.
Status Lane::fail(Status status) {
  if (!executor_.settle(0).ok()) comm_.transport_->farewell(PeerState::kAborted);  // the peers need not wait for it
  if (const Status settled = settle(); !settled.ok()) {
    status = {Code::kSystem, status.message() + "; and " + settled.message() +
                                 " (TUTTI_DEVICE_WAIT): it may still read and write this call's buffers, so keep them, and do not "
                                 "use them, until the device is reset or the process ends"};
  }
  status = comm_.poison(std::move(status));
  finish();
  return status;
}

}  // namespace tutti
