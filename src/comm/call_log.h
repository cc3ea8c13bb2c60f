// What a rank's collectives are, published for its control thread, which answers other ranks' questions: the last kKept calls, by number.
// Threading: begin() and end() of a number by the thread that runs it; different numbers may run on different threads, at most kKept - 1
// apart; the rest by any thread. chose() comes between the two. Ordering: a writer clears the stamp, stores the words (release) and then
// the stamp (release); a reader that finds the same stamp (acquire) before and after the words has read words that belong to it, or no
// choice yet. Plain stores on x86: a call costs seven of them in a line of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tutti {

struct Request;

// What all ranks of a call must agree on.
struct CallShape {
  uint64_t kinds = 0;  // collective, type, reduction, root
  uint64_t count = 0;  // of elements; of a v-form: of bytes of all blocks where all ranks know them, else 0

  bool operator==(const CallShape&) const = default;
};
CallShape shape_of(const Request& request);
bool is_a_call(const CallShape& shape);  // whether it may be described: it may come from a broken peer
// "all_reduce number 5 (10 x float32, sum)"; numbers count from 0, people from 1.
std::string describe_call(const CallShape& shape, uint64_t number);

struct LoggedCall {
  uint64_t number = 0;
  bool ended = false;
  CallShape shape;
  uint64_t choice = 0;  // of a plan for it (planner/choice_word.h); 0: not chosen yet
};

class CallLog {
 public:
  static constexpr size_t kKept = 16;

  void begin(uint64_t number, const CallShape& shape) {
    Slot& slot = slots_[number % kKept];
    slot.stamp.store(0, std::memory_order_relaxed);
    slot.kinds.store(shape.kinds, std::memory_order_release);
    slot.count.store(shape.count, std::memory_order_release);
    slot.choice.store(0, std::memory_order_release);
    slot.stamp.store((number + 1) << 1, std::memory_order_release);
  }
  void chose(uint64_t number, uint64_t choice) { slots_[number % kKept].choice.store(choice, std::memory_order_release); }
  void end(uint64_t number) { slots_[number % kKept].stamp.store((number + 1) << 1 | 1, std::memory_order_release); }

  // Nothing: it has not begun, or is long past.
  std::optional<LoggedCall> find(uint64_t number) const;
  std::optional<LoggedCall> latest() const;
  std::vector<LoggedCall> all() const;  // in the order of the numbers

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> stamp{0};  // 0: empty; else (number + 1) << 1 | ended
    std::atomic<uint64_t> kinds{0};
    std::atomic<uint64_t> count{0};
    std::atomic<uint64_t> choice{0};
  };
  static std::optional<LoggedCall> read(const Slot& slot);

  std::array<Slot, kKept> slots_;
};

}  // namespace tutti
