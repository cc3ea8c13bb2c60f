#include "comm/lane.h"

#include <bit>
#include <new>
#include <utility>

#include "comm/communicator.h"
#include "planner/choice_word.h"

namespace tutti {
namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

// What all ranks of a call must agree on, in 16 bits: it travels with every message. Odd, because an unused slot holds 0. `number`: the
// how-manieth of the communicator's collectives. `choice`: what was chosen for it, in a word; multiplied, since both begin with small
// numbers in the same bits.
uint16_t signature_of(const CallShape& shape, uint64_t choice, size_t count, uint64_t number) {
  return static_cast<uint16_t>(mix(mix(shape.kinds + choice * 0xd6e8feb86659fd93u, count), number) >> 48 | 1);
}

// Of a v-form whose counts all ranks know: all of them.
uint64_t hash_counts(const Request& request) {
  uint64_t hash = 0;
  if (!request.agreed_bytes) return hash;
  // The longer list has a block for every rank; the other is this rank's own.
  const auto blocks = request.input_blocks.size() > request.output_blocks.size() ? request.input_blocks : request.output_blocks;
  for (const Block& block : blocks) hash = mix(hash, block.elems);
  return hash;
}

}  // namespace

Lane::Lane(Communicator& comm, int index, int lanes)
    : comm_(comm),
      executor_(comm.device(), *comm.transport_, index, comm.config_.stream_bytes, comm.budget_.get()),
      lanes_shift_(std::countr_zero(static_cast<unsigned>(lanes))) {}

Result<const PlannedProgram*> Lane::plan_for(const Request& request) {
  const size_t bytes = request.uneven ? request.agreed_bytes.value_or(0) : request.count * type_bytes(request.reduction.arithmetic.type);
  const auto type = static_cast<uint32_t>(type_bytes(request.reduction.arithmetic.type));
  return comm_.plan(comm_.plan_request(request), bytes, type);
}

// A repeated call finds its launch by its shape, which says all that selects. nullptr: rank 0 has not said yet what to run.
Result<Launch*> Lane::launch_for(const Request& request) {
  if (last_launch_ != nullptr && shape_ == last_shape_) return last_launch_;
  const Result<const PlannedProgram*> found = plan_for(request);
  if (!found.ok()) return found.status();
  if (found.value() == nullptr) return static_cast<Launch*>(nullptr);
  const PlannedProgram& planned = *found.value();
  const auto id = static_cast<size_t>(planned.id);
  if (launches_.size() <= id) launches_.resize(id + 1);
  if (launches_[id] == nullptr) {
    const PlanChoice& choice = planned.choice;
    Result<std::unique_ptr<Launch>> launch = executor_.bind(planned.program, choice.protocol, choice.slice_bytes, comm_.config_.timeout_s);
    if (!launch.ok()) return launch.status();
    launches_[id] = std::move(*launch);
  }
  last_shape_ = shape_;
  last_launch_ = launches_[id].get();
  last_choice_ = choice_word(planned.choice);
  return last_launch_;
}

Status Lane::begin(const Request& request, uint64_t number) {
  current_ = &request;
  number_ = number;
  warned_ = checking_ = awaits_choice_ = leaves_to_others_ = false;
  suspect_ = kNoPeer;
  next_probe_s_ = kFirstProbe_s;
  gone_since_.reset();
  if (is_mail()) {
    comm_.health().begin_mail(number, request.calls);
  } else {
    shape_ = shape_of(request);
    comm_.health().calls().begin(number, shape_);
  }
  if (comm_.poison_code() != Code::kOk) return fail_quietly(comm_.usable());
  if (comm_.config_.check && comm_.nranks_ > 1 && !is_mail()) return begin_checking(request);
  return begin_moving();
}

Status Lane::begin_checking(const Request& request) {
  std::string choice;
  if (comm_.config_.tuner.empty()) {  // a tuner's choices are rank 0's, and the others may not have them yet
    const Result<const PlannedProgram*> planned = plan_for(request);
    if (!planned.ok()) return fail_to_begin(planned.status());
    choice = describe_choice(choice_word(planned.value()->choice));
  }
  checking_ = true;
  comm_.health().check(number_, shape_, hash_counts(request), choice);
  return {};
}

Status Lane::begin_moving() {
  Status status;
  try {
    status = is_mail() ? start_point_to_point(*current_) : start(*current_);
  } catch (const std::bad_alloc&) {  // a turn that is not ended would keep the lane for good
    status = {Code::kSystem, "out of memory"};
  }
  return status.ok() ? status : fail_to_begin(status);
}

Status Lane::start(const Request& request) {
  const Result<Launch*> launch = launch_for(request);
  if (!launch.ok()) return launch.status();
  awaits_choice_ = launch.value() == nullptr;
  if (awaits_choice_) return {};
  comm_.health().calls().chose(number_, last_choice_);
  const ReductionCall& reduction = request.reduction;
  for (const std::span<Block> blocks : {request.input_blocks, request.output_blocks}) {
    for (Block& block : blocks) block.signature = signature_of(shape_, last_choice_, block.elems, number_);
  }
  // Field by field: a copy of the whole would read what was just written in smaller pieces, and wait for it.
  operands_.input = request.input;
  operands_.output = request.collective == Collective::kBarrier ? &barrier_token_ : request.output;
  operands_.count = request.count;
  operands_.uneven = request.uneven;
  operands_.input_blocks = request.input_blocks;
  operands_.output_blocks = request.output_blocks;
  operands_.arithmetic.type = reduction.arithmetic.type;
  operands_.arithmetic.op = reduction.arithmetic.op;
  operands_.scale = reduction.scale;
  operands_.divide = reduction.divide;
  if (reduction.scale || reduction.divide) operands_.arithmetic = reduction.arithmetic;
  operands_.user = reduction.user.function != nullptr ? &reduction.user : nullptr;
  operands_.signature = signature_of(shape_, last_choice_, request.count, number_);
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
  if (checking_ || suspect_ != kNoPeer) {
    if (!checking_ || !comm_.health().passed(number_)) return Progress::kBlocked;
    checking_ = false;
    if (Status status = begin_moving(); !status.ok()) return status;
  }
  if (awaits_choice_) {
    if (!comm_.choice_has_come()) return Progress::kBlocked;
    if (Status status = begin_moving(); !status.ok()) return status;
    if (awaits_choice_) return Progress::kBlocked;
  }
  switch (executor_.step()) {
    case StepResult::kDone: finish(); return Progress::kDone;
    case StepResult::kMoved: return Progress::kMoved;
    case StepResult::kBlocked: return Progress::kBlocked;
    case StepResult::kDeviceFailed: return fail({Code::kSystem, describe() + ": " + executor_.device_failure()});
    case StepResult::kMismatch: break;
  }
  // Its own call is worth a question before the error is written: look() does the rest.
  suspect_ = executor_.waiting_for().peer;
  asked_at_ = Clock::now();
  comm_.health().forget(probe_);
  probe_ = comm_.health().ask(suspect_);
  return Progress::kBlocked;
}

Status Lane::settle() {
  return executor_.settle(comm_.config_.device_wait_s);
}

std::string Lane::describe() const {
  const std::string call =
      is_mail() ? "sendrecv number " + std::to_string(number_ + 1) + " (" + std::to_string(current_->calls.size()) + " sends and receives)"
                : describe_call(shape_, number_);
  return call + " on rank " + std::to_string(comm_.rank_);
}

Status Lane::fail(Status status) {
  comm_.health().report({.kind = Failure::Kind::kFailed,
                         .culprit = comm_.rank_,
                         .sentence = comm_.describe_peer(comm_.rank_) + " failed: " + status.message()});
  return fail_quietly(std::move(status));
}

// The caller gets its buffers back, so the device has to be done with them first.
Status Lane::fail_quietly(Status status) {
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

void Lane::finish() {
  if (probe_ != 0) comm_.health().forget(std::exchange(probe_, 0));
  if (census_ != 0) comm_.health().forget(std::exchange(census_, 0));
  is_mail() ? comm_.health().end_mail(number_) : comm_.health().calls().end(number_);
  // Pairs with busy_for(). Nothing of the communicator may be touched after it: the next operation, or its end, has the lane.
  finished_.store(finished_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace tutti
