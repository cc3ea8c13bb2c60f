#include "executor/executor.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace tutti {

Executor::Executor(Device& device, Transport& transport, int lane, size_t stream_bytes, MemoryBudget* budget)
    : device_(device),
      immediate_(device.immediate()),
      transport_(transport),
      lane_(lane),
      stream_bytes_(stream_bytes),
      budget_(budget),
      carried_((transport.abilities() & kAbilityMapped) == 0) {}

Executor::~Executor() {
  if (settle(0).ok()) {
    free_scratch();
    return;
  }
  // The device is still at work there: better lost than written to when it is another's. Scratch goes with them.
  for (std::unique_ptr<DeviceQueue>& queue : queues_) static_cast<void>(queue.release());
  static_cast<void>(new std::vector<std::byte>(std::move(staging_)));
}

Result<std::unique_ptr<Launch>> Executor::bind(const Program& program, Protocol protocol, uint32_t slice_bytes, double timeout_s) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begun = Clock::now();
  // What is left for the next connection; never 0, which would be no bound.
  const auto left_s = [&] {
    return timeout_s <= 0 ? timeout_s : std::max(1e-3, timeout_s - std::chrono::duration<double>(Clock::now() - begun).count());
  };
  unreached_ = kNoPeer;
  auto launch = std::make_unique<Launch>();
  launch->program = &program;
  const uint32_t capacity = transport_.shapes().of(protocol).capacity;
  launch->message_bytes = slice_bytes == 0 ? capacity : std::min(capacity, slice_bytes);
  for (size_t c = 0; c < program.channels.size(); ++c) {
    auto& steps = launch->channels.emplace_back();
    for (const Instruction& instruction : program.channels[c]) {
      Step step{.instruction = &instruction,
                .src = instruction.src.buffer,
                .dst = instruction.dst.buffer,
                .reduce = instruction.reduce,
                .src_first = instruction.src_first,
                .completes = instruction.completes,
                .after_channel = instruction.after_channel,
                .after_index = instruction.after_index};
      FifoKey key{.channel = lane_ * kMaxChannels + program.fifo(c), .protocol = protocol};
      if (instruction.send_peer != kNoPeer) {
        key.peer = instruction.send_peer;
        Result<FifoSender*> sender = transport_.sender(key, left_s());
        if (!sender.ok()) return unreached_ = key.peer, sender.status();
        step.send = *sender;
      }
      if (instruction.recv_peer != kNoPeer) {
        key.peer = instruction.recv_peer;
        Result<FifoReceiver*> receiver = transport_.receiver(key, left_s());
        if (!receiver.ok()) return unreached_ = key.peer, receiver.status();
        step.recv = *receiver;
      }
      steps.push_back(step);
    }
  }
  if (Status status = make_queues(launch->channels.size()); !status.ok()) return status;
  return launch;
}

void Executor::free_scratch() {
  device_.free(scratch_);
  scratch_ = nullptr;
  if (budget_ != nullptr) budget_->give_scratch(scratch_bytes());
  scratch_bytes_.store(0, std::memory_order_relaxed);
}

Status Executor::grow_scratch(size_t bytes) {
  if (bytes <= scratch_bytes()) return {};
  const size_t rounded = (bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
  free_scratch();
  if (budget_ != nullptr) {
    if (Status status = budget_->take_scratch(rounded); !status.ok()) return status;
  }
  scratch_ = static_cast<std::byte*>(device_.allocate(rounded));
  if (scratch_ != nullptr) {
    scratch_bytes_.store(rounded, std::memory_order_relaxed);
    return {};
  }
  if (budget_ != nullptr) budget_->give_scratch(rounded);
  return {Code::kSystem, "cannot allocate " + std::to_string(rounded) + " bytes of scratch on device " + device_.name() +
                             ": free memory, or force another algorithm (TUTTI_ALGORITHM)"};
}

Status Executor::start(Launch& launch, const Operands& operands) {
  const Program& program = *launch.program;
  elem_bytes_ = type_bytes(operands.arithmetic.type);
  if (launch.message_bytes < elem_bytes_) {
    return {Code::kInvalidArgument, "slices of " + std::to_string(launch.message_bytes) + " bytes hold no element of " +
                                        std::to_string(elem_bytes_) + ": let the plan's slice_bytes be larger"};
  }
  if (program.scratch_blocks != 0) {
    if (Status status = grow_scratch(program.scratch_blocks * operands.count * elem_bytes_); !status.ok()) return status;
  }
  launch_ = &launch;
  operands_ = &operands;
  if (cursors_.size() < launch.channels.size()) cursors_.resize(launch.channels.size());
  if (immediate_ == nullptr) prepare_queues(launch);
  if (operands.uneven) {
    uneven_slice_elems_ = most_slice_elems(program.largest_num, program.largest_den, launch.message_bytes / elem_bytes_);
    stream_ = false;
  } else {
    launch.resolve(operands.count, elem_bytes_);
    slice_bytes_ = launch.slicing.slice_elems * elem_bytes_;
    stream_ = output_blocks(program.collective, program.nranks) * operands.count * elem_bytes_ >= stream_bytes_;
  }
  bases_[static_cast<int>(Buffer::kInput)] = static_cast<std::byte*>(const_cast<void*>(operands.input));
  bases_[static_cast<int>(Buffer::kOutput)] = static_cast<std::byte*>(operands.output);
  bases_[static_cast<int>(Buffer::kScratch)] = scratch_;
  unfinished_ = 0;
  mismatched_ = -1;
  for (size_t c = 0; c < launch.channels.size(); ++c) {
    const std::vector<Step>& steps = launch.channels[c];
    cursors_[c] = {.slices = steps.empty() ? 0 : operands.uneven ? slices_of(steps) : launch.slicing.slices};
    if (cursors_[c].slices != 0) ++unfinished_;
  }
  return {};
}

// Of a channel of an uneven request: as many as its longest block needs.
size_t Executor::slices_of(const std::vector<Step>& steps) const {
  size_t longest = 0;
  for (const Step& step : steps) {
    for (const Region* region : {&step.instruction->src, &step.instruction->dst}) {
      if (const Block* block = block_of(*region)) longest = std::max(longest, block->elems);
    }
  }
  return (longest + uneven_slice_elems_ - 1) / uneven_slice_elems_;
}

StepResult Executor::step() {
  bool moved = false;
  for (size_t c = 0; c < launch_->channels.size() && unfinished_ != 0; ++c) {
    const std::vector<Step>& steps = launch_->channels[c];
    Cursor& at = cursors_[c];
    while (at.slice != at.slices) {
      const Outcome outcome = immediate_ != nullptr || pending_[c].stage == Stage::kNothing ? run_one(steps[at.instruction], at, c)
                                                                                            : go_on(steps[at.instruction], c);
      if (outcome == Outcome::kMismatch) {
        mismatched_ = static_cast<int>(c);
        return StepResult::kMismatch;
      }
      if (outcome == Outcome::kDeviceFailed) return StepResult::kDeviceFailed;
      if (outcome == Outcome::kBlocked) break;
      moved = true;
      if (outcome == Outcome::kIssued) break;
      if (++at.instruction == steps.size()) {
        at.instruction = 0;
        if (++at.slice == at.slices) --unfinished_;
      }
    }
  }
  if (unfinished_ == 0) {
    if (carried_) transport_.settle();
    return StepResult::kDone;
  }
  if (transport_.progress()) moved = true;
  return moved ? StepResult::kMoved : StepResult::kBlocked;
}

bool Executor::after_is_done(const Step& step, const Cursor& at) const {
  if (step.after_channel < 0) return true;
  const Cursor& other = cursors_[static_cast<size_t>(step.after_channel)];
  return other.slice > at.slice || other.slice == other.slices ||
         (other.slice == at.slice && other.instruction > static_cast<size_t>(step.after_index));
}

Executor::Outcome Executor::run_one(const Step& step, const Cursor& at, size_t channel) {
  if (!after_is_done(step, at)) return Outcome::kBlocked;
  const Span span = operands_->uneven ? uneven_span_of(step, at.slice) : span_of(step, at);
  // Nothing to move: both ends of the message know it, and none is sent.
  if (span.elems == 0) return Outcome::kRan;
  if (step.recv != nullptr) {
    if (!step.recv->ready()) return Outcome::kBlocked;
    if (step.recv->signature() != span.signature) return Outcome::kMismatch;
  }
  if (step.send != nullptr && !step.send->ready()) return Outcome::kBlocked;
  if (immediate_ == nullptr) [[unlikely]]
    return issue(step, span, channel);
  move_data(step, span, *immediate_);
  if (step.recv != nullptr) step.recv->release();
  if (step.send != nullptr) step.send->post(span.signature, static_cast<uint32_t>(span.elems * elem_bytes_));
  return Outcome::kRan;
}

inline Executor::Span Executor::span_of(const Step& step, const Cursor& at) const {
  const Extent& extent = at.slice + 1 == at.slices ? step.last : step.full;
  const size_t slice_offset = at.slice * slice_bytes_;
  std::byte* const src = bases_[static_cast<int>(step.src)];
  std::byte* const dst = bases_[static_cast<int>(step.dst)];
  return {src == nullptr ? nullptr : src + extent.src + slice_offset, dst == nullptr ? nullptr : dst + extent.dst + slice_offset,
          extent.elems, operands_->signature};
}

// nullptr for scratch and for no region: they have no count of their own.
const Block* Executor::block_of(const Region& region) const {
  const size_t index = region.begin / region.den;
  if (region.buffer == Buffer::kInput) return &operands_->input_blocks[index];
  if (region.buffer == Buffer::kOutput) return &operands_->output_blocks[index];
  return nullptr;
}

Executor::Span Executor::uneven_span_of(const Step& step, size_t slice) const {
  const Instruction& instruction = *step.instruction;
  const Block* const src_block = block_of(instruction.src);
  const Block* const dst_block = block_of(instruction.dst);
  const Block* const sized = src_block != nullptr ? src_block : dst_block;
  const size_t begin = slice * uneven_slice_elems_;
  if (sized == nullptr || begin >= sized->elems) return {};
  const size_t slice_elems = std::min(uneven_slice_elems_, sized->elems - begin);
  const Part part = part_of(src_block != nullptr ? instruction.src : instruction.dst, slice_elems);
  const auto operand = [&](const Region& region, const Block* block) -> std::byte* {
    const size_t offset = (begin + part.begin) * elem_bytes_;
    if (block != nullptr) return static_cast<std::byte*>(block->data) + offset;
    if (region.none()) return nullptr;
    return bases_[static_cast<int>(Buffer::kScratch)] + region.begin / region.den * operands_->count * elem_bytes_ + offset;
  };
  return {operand(instruction.src, src_block), operand(instruction.dst, dst_block), part.end - part.begin, sized->signature};
}

void Executor::move_data(const Step& step, const Span& span, DataPath& path) {
  std::byte* const slot = step.send == nullptr ? nullptr : step.send->payload();
  const std::byte* const arrived = step.recv == nullptr ? nullptr : step.recv->payload();
  Destination to{.first = span.dst, .second = slot, .stream = stream_ && step.dst == Buffer::kOutput};
  if (span.dst == nullptr) to = {.first = slot};
  if (step.reduce) {
    const std::byte* const left = arrived != nullptr ? arrived : span.dst;
    step.src_first ? reduce(step, to, span.src, left, span.elems, path) : reduce(step, to, left, span.src, span.elems, path);
    return;
  }
  const std::byte* const from = arrived != nullptr ? arrived : span.src;
  const bool scale = operands_->scale && step.src == Buffer::kInput;
  const bool divide = operands_->divide && step.completes;
  if (scale || divide) {
    Arithmetic arithmetic = operands_->arithmetic;
    arithmetic.scale_a = scale;
    arithmetic.divide = divide;
    path.transform(to, from, span.elems, arithmetic);
  } else if (to.first != from || to.second != nullptr) {
    path.copy(to, from, span.elems * elem_bytes_);
  }
}

void Executor::reduce(const Step& step, const Destination& to, const std::byte* left, const std::byte* right, size_t elems,
                      DataPath& path) const {
  if (operands_->user != nullptr) {
    operands_->user->function(left, right, to.first, elems, operands_->user->datatype, operands_->user->context);
    if (to.second != nullptr) path.copy({.first = to.second}, to.first, elems * elem_bytes_);
    return;
  }
  if (!operands_->scale && !operands_->divide) {
    path.reduce(to, left, right, elems, operands_->arithmetic);
    return;
  }
  Arithmetic arithmetic = operands_->arithmetic;
  // Only this rank's own input is raw; what arrived, or was held, has been scaled where it was read first.
  const bool src_is_raw = operands_->scale && step.src == Buffer::kInput;
  arithmetic.scale_a = src_is_raw && step.src_first;
  arithmetic.scale_b = src_is_raw && !step.src_first;
  arithmetic.divide = operands_->divide && step.completes;
  path.reduce(to, left, right, elems, arithmetic);
}

WaitingFor Executor::waiting_for() const {
  // This rank's own device first: it holds up peers that would wait in vain for this rank.
  for (size_t c = 0; c < launch_->channels.size() && mismatched_ < 0; ++c) {
    if (immediate_ != nullptr || pending_[c].stage == Stage::kNothing) continue;
    return {.channel = static_cast<int>(c), .instruction = static_cast<int>(cursors_[c].instruction), .own_device = true};
  }
  for (size_t c = 0; c < launch_->channels.size(); ++c) {
    const Cursor& at = cursors_[c];
    if (at.slice == at.slices) continue;
    const Instruction& instruction = launch_->program->channels[c][at.instruction];
    const Step& step = launch_->channels[c][at.instruction];
    WaitingFor waiting{.peer = instruction.recv_peer, .channel = static_cast<int>(c), .instruction = static_cast<int>(at.instruction)};
    if (mismatched_ >= 0) {
      if (mismatched_ == waiting.channel) return waiting;
      continue;
    }
    if (!after_is_done(step, at)) continue;  // waits for another channel of its own, which will say for whom
    if (step.recv != nullptr && !step.recv->ready()) return waiting;
    if (step.send == nullptr) continue;  // has all that it needs by now
    waiting.peer = instruction.send_peer;
    waiting.for_credit = true;
    return waiting;
  }
  return {};
}

}  // namespace tutti
