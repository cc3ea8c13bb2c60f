// What the ranks of a communicator know of each other's wellbeing, over the control tree: who has failed and why, who has left, who is in
// which call. One object a communicator (a context of the tree).
//
// A failure is told to all at once by whoever notices it; the first that a rank hears of stays. Nobody is woken: who waits looks at
// failed() about once a millisecond. Whoever hears of a failure from here must not report the consequence as a failure of its own.
// Threading: every method from any thread; the control thread calls the TreeListener's. Lives as long as either needs it.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "comm/call_log.h"
#include "comm/control_tree.h"
#include "comm/request.h"

namespace tutti {

struct Failure {
  enum class Kind : uint8_t {
    kDied = 1,      // the culprit's process or host is gone
    kFailed = 2,    // the culprit says that it failed, or was aborted
    kMismatch = 3,  // the culprit made another call than somebody else
  };
  Kind kind = Kind::kFailed;
  int culprit = 0;
  std::string sentence;  // whole: names the culprit

  Code code() const { return kind == Kind::kMismatch ? Code::kInvalidUsage : Code::kRemote; }
};

// What a rank answers to "what are you doing?"
struct Answer {
  int rank = 0;
  std::vector<LoggedCall> recent;  // its last collectives, in their order
  uint64_t calls = 0;              // collectives that it has begun
  bool left = false;               // the communicator, in good order
  bool inside = false;             // a call
  std::string doing;               // "is in broadcast number 5 (...)"
  std::string mail;                // its sends and receives with the asker, of late
};

class Health final : public TreeListener {
 public:
  // `who`: by rank, "rank 3 (host h, pid 42)". `in_tree`: by rank, the tree's rank; empty where they are the same.
  Health(const ControlTree& tree, uint32_t context, int rank, std::vector<std::string> who, std::vector<int> in_tree = {});

  // A cheap look: acquire, pairs with note(). True once anything has failed anywhere, here included.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // The first failure that is known; nothing where it was this rank's own report.
  std::optional<Failure> failure_of_others() const;
  // Tells all. The first failure stays.
  void report(Failure failure);
  const std::string& name_of(int rank) const { return who_[static_cast<size_t>(rank)]; }

  // This rank ends in good order: tells all, once.
  void leave();
  bool has_left(int rank) const;

  // What this rank is in.
  CallLog& calls() { return calls_; }
  void begin_mail(uint64_t number, std::span<const PointToPoint> calls);
  void end_mail(uint64_t number);

  // Asks one rank, or all others (kEverybody). Answers come as long as the question is not forgotten.
  static constexpr int kEverybody = -1;
  uint64_t ask(int whom);
  std::vector<Answer> answers(uint64_t question) const;
  void forget(uint64_t question);
  // The first call of which both know that they differ.
  struct Difference {
    uint64_t number = 0;
    CallShape mine, theirs;
  };
  std::optional<Difference> difference(const Answer& answer) const;
  // Whether another rank has asked everybody within the last `seconds`: its finding will come.
  bool somebody_asks(double seconds) const;

  // TUTTI_CHECK: brings this rank's call before rank 0, who compares; passed() once all ranks have brought the same. A mismatch is
  // reported.
  void check(uint64_t number, const CallShape& shape, uint64_t counts_hash);
  bool passed(uint64_t number);

  void on_message(int from, uint16_t kind, std::span<const std::byte> payload) override;
  void on_died(int rank, const std::string& how) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Mail {
    uint64_t number = 0;
    bool ended = false;
    std::vector<PointToPoint> calls;  // without their data
  };
  struct Checked {
    CallShape shape;
    uint64_t hash = 0;
    int first = 0;  // who brought it
    size_t came = 0;
  };

  bool note(const Failure& failure, bool own);
  void tell(Failure failure, bool own);
  void hear(int from, uint16_t kind, std::span<const std::byte> payload);
  void send(int to, uint16_t kind, Bytes payload);
  void flood(uint16_t kind, Bytes payload);
  void answer(int from, std::span<const std::byte> payload);
  void take_answer(int from, std::span<const std::byte> payload);
  void compare(int from, std::span<const std::byte> payload);
  struct Doing {
    bool inside = false;
    std::string text;
  };
  Doing doing() const;
  std::string mail_with(int rank) const;

  // The node and not the tree: that ends with its communicators, in their thread, and its end waits for its goodbye.
  std::shared_ptr<TreeNode> node_;
  uint32_t context_;
  int rank_;
  std::vector<std::string> who_;
  std::vector<int> in_tree_;    // by rank
  std::map<int, int> rank_of_;  // by the tree's rank
  CallLog calls_;
  std::atomic<bool> failed_{false};  // release by note(), after failure_
  mutable std::mutex mutex_;         // of all below
  std::optional<Failure> failure_;
  bool own_ = false;  // failure_ was reported here
  std::vector<bool> left_;
  std::vector<Mail> mail_;
  uint64_t questions_ = 0;
  std::map<uint64_t, std::vector<Answer>> answers_;
  std::optional<Clock::time_point> asked_by_others_;
  std::map<uint64_t, Checked> checks_;  // rank 0
  std::set<uint64_t> passed_;
};

// The sentence of a mismatch, the same on all ranks.
std::string mismatch_sentence(const std::string& one, const std::string& ones_call, const std::string& other,
                              const std::string& others_call);

// "ranks 1, 2 and 5 more" by what they do: at most 8 groups, at most 8 named in each.
std::string list_groups(const std::map<std::string, std::vector<int>>& ranks_by_text);

}  // namespace tutti
