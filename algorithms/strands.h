// Steps of several channels of one rank that wait for each other. A program with a channel for each phase of an algorithm works at all its
// phases at once, each at another slice: what joins them inside a slice is who waits for whom.
// Threading: one thread an object.
#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "plan/builder.h"

namespace tutti {

// A step of this rank that has been appended; or none.
struct StepRef {
  int channel = -1;
  int index = -1;

  bool none() const { return channel < 0; }
};

class Strands {
 public:
  explicit Strands(Program program)
      : program_(std::move(program)), known_(program_.channels.size(), std::vector<int>(program_.channels.size(), -1)) {}

  // Appends a step that comes after those of `earlier`, which may be none. A step waits for at most one other, so nops take the rest; what
  // the channel has waited for already costs nothing.
  StepRef add(int channel, Instruction step, std::initializer_list<StepRef> earlier = {}) {
    StepRef last;
    for (const StepRef& ref : earlier) {
      if (ref.none() || ref.channel == channel) continue;
      int& known = known_[static_cast<size_t>(channel)][static_cast<size_t>(ref.channel)];
      if (known >= ref.index) continue;
      known = ref.index;
      if (!last.none()) append(channel, {.after_channel = last.channel, .after_index = last.index});
      last = ref;
    }
    step.after_channel = last.channel;
    step.after_index = last.index;
    return append(channel, step);
  }

  // The step appended last to a channel; none where it is empty.
  StepRef last(int channel) const {
    const auto size = static_cast<int>(program_.channels[static_cast<size_t>(channel)].size());
    return size == 0 ? StepRef{} : StepRef{channel, size - 1};
  }

  Program take() { return std::move(program_); }

 private:
  StepRef append(int channel, const Instruction& step) {
    program_.channels[static_cast<size_t>(channel)].push_back(step);
    return last(channel);
  }

  Program program_;
  std::vector<std::vector<int>> known_;  // of each channel: up to which step of each other it has waited
};

}  // namespace tutti
