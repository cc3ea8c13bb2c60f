// Builds one rank's program. An algorithm asks for a channel and appends steps by their names; the builder keeps nothing but the program.
// Threading: one thread a builder.
#pragma once

#include <utility>

#include "plan/program.h"
#include "plan/request.h"

namespace tutti {

// Regions of the three buffers, [begin/den, end/den) in blocks.
inline Region input(uint32_t begin, uint32_t end, uint32_t den) {
  return {Buffer::kInput, begin, end, den};
}
inline Region output(uint32_t begin, uint32_t end, uint32_t den) {
  return {Buffer::kOutput, begin, end, den};
}
inline Region scratch(uint32_t begin, uint32_t end, uint32_t den) {
  return {Buffer::kScratch, begin, end, den};
}

class ProgramBuilder {
 public:
  ProgramBuilder(const PlanRequest& request, const PlanChoice& choice, int rank) {
    program_.collective = request.collective;
    program_.algorithm = choice.algorithm;
    program_.nranks = request.nranks;
    program_.rank = rank;
    program_.root = request.root;
    program_.channels.resize(static_cast<size_t>(choice.channels));
  }

  // The steps of one channel, in order. Each returns *this, to be chained.
  class Channel {
   public:
    Channel& send(int to, Region src) { return add({.send_peer = to, .src = src}); }
    Channel& recv(int from, Region dst) { return add({.recv_peer = from, .dst = dst}); }
    Channel& recv_copy_send(int from, Region dst, int to) { return add({.recv_peer = from, .send_peer = to, .dst = dst}); }
    // What arrives, reduced with src.
    Channel& recv_reduce_send(int from, Region src, int to) {
      return add({.recv_peer = from, .send_peer = to, .reduce = true, .src = src});
    }
    Channel& recv_reduce_copy(int from, Region src, Region dst) { return add({.recv_peer = from, .reduce = true, .src = src, .dst = dst}); }
    Channel& recv_reduce_copy_send(int from, Region src, Region dst, int to) {
      return add({.recv_peer = from, .send_peer = to, .reduce = true, .src = src, .dst = dst});
    }
    Channel& copy(Region src, Region dst) { return add({.src = src, .dst = dst}); }
    Channel& copy_send(Region src, Region dst, int to) { return add({.send_peer = to, .src = src, .dst = dst}); }
    // dst = dst reduced with src.
    Channel& reduce(Region src, Region dst) { return add({.reduce = true, .src = src, .dst = dst}); }

    // About the step appended last: its src is the left operand; its value is the reduction of all inputs.
    Channel& src_first() {
      list_.back().src_first = true;
      return *this;
    }
    Channel& completes(bool it_does = true) {
      list_.back().completes = it_does;
      return *this;
    }

   private:
    friend class ProgramBuilder;
    explicit Channel(std::vector<Instruction>& list) : list_(list) {}
    Channel& add(Instruction instruction) {
      list_.push_back(instruction);
      return *this;
    }
    std::vector<Instruction>& list_;
  };

  Channel channel(int index) { return Channel(program_.channels[static_cast<size_t>(index)]); }
  // No message of any rank is longer than num/den blocks; the same call on all ranks. Not called: one block.
  void largest_message(uint32_t num, uint32_t den) {
    program_.largest_num = num;
    program_.largest_den = den;
  }
  // Channel `channel` uses the FIFOs of channel `fifo`.
  void use_fifos(int channel, int fifo) {
    if (program_.fifo_of_channel.empty()) {
      for (size_t c = 0; c < program_.channels.size(); ++c) program_.fifo_of_channel.push_back(static_cast<int>(c));
    }
    program_.fifo_of_channel[static_cast<size_t>(channel)] = fifo;
  }
  void use_scratch(uint32_t blocks) { program_.scratch_blocks = blocks; }
  Program take() { return std::move(program_); }

 private:
  Program program_;
};

}  // namespace tutti
