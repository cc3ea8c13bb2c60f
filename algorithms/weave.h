// Programs whose steps wait for each other and for nothing else. What goes to one rank on one FIFO is a channel, what comes from one rank
// on one FIFO is a channel, and a step that needs another rank's data waits (`after`) for just the step that brings it. So nothing is held
// up by a neighbour that it does not need, and slices follow each other as closely as the data lets them.
//
// Steps of one channel run in the order in which they were added, and both ends of a FIFO must add its messages in the same order. With an
// order of all messages in which each comes after those that it needs, nothing can stop: the first that has not been sent needs
// only such as have, and receives need no more than what they write to being free.
// Threading: one thread an object.
#pragma once

#include <algorithm>
#include <cassert>
#include <map>
#include <tuple>
#include <vector>

#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {

// A step that others may wait for; by default none.
struct StepDone {
  int channel = -1;
  int index = -1;

  bool none() const { return channel < 0; }
};

class Weave {
 public:
  Weave(const PlanRequest& request, const PlanChoice& choice, int rank) : builder_(request, choice, rank) {}

  // A step that only sends, only receives, or only works on this rank's buffers, on FIFO channel `fifo` (below kMostShares).
  StepDone add(Instruction step, int fifo, StepDone after = {}) {
    assert(step.recv_peer == kNoPeer || step.send_peer == kNoPeer);
    step.after_channel = after.channel;
    step.after_index = after.index;
    const bool sends = step.send_peer != kNoPeer;
    const int peer = sends ? step.send_peer : step.recv_peer;
    const auto next = static_cast<int>(channels_.size());
    const int channel = channel_of_.emplace(std::tuple(peer, fifo, sends), next).first->second;
    if (channel == next) {
      channels_.emplace_back();
      fifos_.push_back(fifo);
    }
    channels_[static_cast<size_t>(channel)].push_back(step);
    return {channel, static_cast<int>(channels_[static_cast<size_t>(channel)].size()) - 1};
  }
  StepDone send(int to, int fifo, Region src, StepDone after = {}) { return add({.send_peer = to, .src = src}, fifo, after); }
  StepDone recv(int from, int fifo, Region dst, StepDone after = {}) { return add({.recv_peer = from, .dst = dst}, fifo, after); }
  // What arrives, reduced with src.
  StepDone recv_reduce(int from, int fifo, Region src, Region dst, bool completes, StepDone after = {}) {
    return add({.recv_peer = from, .reduce = true, .completes = completes, .src = src, .dst = dst}, fifo, after);
  }

  ProgramBuilder& builder() { return builder_; }

  // `channels`: how many a rank has at most; the same on all ranks, who fill up with empty ones.
  Program take(int channels) {
    assert(static_cast<int>(channels_.size()) <= channels);
    Program program = builder_.take();
    channels_.resize(static_cast<size_t>(std::max(channels, kMostShares)));
    fifos_.resize(channels_.size(), 0);
    program.channels = std::move(channels_);
    program.fifo_of_channel = std::move(fifos_);
    return program;
  }

 private:
  ProgramBuilder builder_;
  std::map<std::tuple<int, int, bool>, int> channel_of_;  // by peer (kNoPeer: steps without), FIFO channel, whether it sends
  std::vector<std::vector<Instruction>> channels_;
  std::vector<int> fifos_;
};

}  // namespace tutti
