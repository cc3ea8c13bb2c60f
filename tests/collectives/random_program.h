// Random programs: a sequence of steps that all ranks derive alike from a seed. A step is a collective, a group of collectives, sends and
// receives, a few messages outside a group, a split, the end of a split's communicators, or nothing but synchronization.
//
// Communicators live in slots: slot 0 holds the one of all ranks, the others what splits made; a slot has several communicators, one a
// color, and ranks without. What a communicator's ranks do in a step follows from the step's seed and the communicator's number.
// Threading: immutable after construction.
#pragma once

#include <string>
#include <vector>

#include "mail.h"
#include "oracle.h"

namespace tutti::test {

struct ProgramOptions {
  uint64_t seed = 1;
  int nranks = 4;
  int steps = 100;
  double timeout_s = 120;
  bool verbose = false;  // rank 0 prints every step before it makes it
  std::string devices;   // a letter a rank, from the beginning again where they are too few: h, or a or b for a test accelerator
};

inline constexpr int kSlots = 4;

// Where a rank stands in a slot.
struct Place {
  int group = -1;  // which of the slot's communicators; -1: none
  int rank = 0;    // in it
  int nranks = 0;  // of it
};

struct Step {
  enum class What : uint8_t { kCollective, kGroup, kMail, kSplit, kDestroy, kSynchronize };
  What what = What::kCollective;
  int slot = 0;
  int parent = 0;  // of a split: the slot that is split
  uint64_t seed = 0;
};

// Of one step of a slot.
struct GroupItem {
  int slot = 0;
  bool is_mail = false;
  uint64_t seed = 0;
};

struct SplitChoice {
  int color = 0;
  int key = 0;
};

class RandomProgram {
 public:
  explicit RandomProgram(const ProgramOptions& options);

  int steps() const { return static_cast<int>(steps_.size()); }
  const Step& step(int index) const { return steps_[static_cast<size_t>(index)].step; }
  // Before the step.
  Place place(int index, int slot, int rank) const;
  std::string describe(int index) const;

  // The items of a kGroup step: several a slot, but at most one of mail.
  std::vector<GroupItem> group_items(int index) const;

 private:
  using Places = std::vector<Place>;  // by rank; empty: the slot is
  struct Placed {
    Step step;
    std::vector<Places> slots;  // before the step
  };

  Step next_step(uint64_t seed, const std::vector<Places>& slots) const;

  std::vector<Placed> steps_;
};

// What a rank of the `group`-th communicator of a slot gives to the split of a step.
SplitChoice split_choice(uint64_t seed, const Place& place);
// The call of a communicator of `nranks`.
Call random_call(uint64_t seed, int nranks);
// Messages of a group, between any two ranks; and those outside a group, between one pair.
std::vector<Message> random_messages(uint64_t seed, int nranks);
std::vector<Message> messages_of_one_pair(uint64_t seed, int nranks);

}  // namespace tutti::test
