#include "tests/api/failures/rank.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace tutti::failures {
namespace {

constexpr uint64_t kMostBytes = uint64_t{4} << 20;
constexpr int kMostCalls = 1'000'000;
constexpr auto kIdle = std::chrono::milliseconds(30);

enum class What : uint8_t { kAllReduce, kAllGather, kAllToAll, kBarrier, kReduceScatter, kBroadcast, kReduce, kGather, kScatter, kRing, kGroup };
constexpr uint64_t kThatBlockAll = 4;  // the first of them end nowhere before all have begun
constexpr uint64_t kCollectives = 9;
constexpr uint64_t kAll = 11;

struct Call {
  What what = What::kAllReduce;
  size_t count = 1;  // of floats: of a block, where there are blocks
  int root = 0;
  tuttiRedOp_t op = tuttiSum;
  tuttiDataType_t type = tuttiFloat32;
};

// 8 B to 4 MiB in all, every power equally likely.
Call call_of(const Scenario& s, int k) {
  const auto draw = [&](uint64_t which, uint64_t below) { return mix(s.seed, static_cast<uint64_t>(k), which) % below; };
  uint64_t kinds = kAll;
  if (k == s.call && s.kind == Kind::kOtherCall) kinds = kCollectives;
  if (k == s.call && s.kind == Kind::kAbort) kinds = kThatBlockAll;
  const uint64_t bytes = std::min(kMostBytes, (uint64_t{8} << draw(1, 20)) + 4 * draw(2, 64));
  return {.what = static_cast<What>(draw(0, kinds)),
          .count = std::max<size_t>(1, bytes / 4 / static_cast<uint64_t>(s.ranks)),
          .root = static_cast<int>(draw(3, static_cast<uint64_t>(s.ranks)))};
}

// Something that the others do not call: another collective, count, type, reduction or root.
Call other_than(const Call& usual, const Scenario& s) {
  Call odd = usual;
  const bool reduces = usual.what == What::kAllReduce || usual.what == What::kReduce || usual.what == What::kReduceScatter;
  switch (mix(s.seed, 77) % 5) {
    case 0:
      if (usual.what == What::kBarrier) break;
      odd.count = usual.count == 1 ? 2 : usual.count - 1;
      return odd;
    case 1:
      if (usual.what == What::kBarrier) break;
      odd.type = tuttiInt32;
      return odd;
    case 2:
      if (!reduces) break;
      odd.op = tuttiMax;
      return odd;
    case 3:
      if (usual.what < What::kBroadcast || usual.what == What::kReduceScatter) break;
      odd.root = (usual.root + 1) % s.ranks;
      return odd;
    default: break;
  }
  odd.what = static_cast<What>((static_cast<uint64_t>(usual.what) + 1 + mix(s.seed, 78) % (kCollectives - 1)) % kCollectives);
  return odd;
}

class Rank {
 public:
  Rank(const Scenario& scenario, int rank, Board& board) : s_(scenario), rank_(rank), board_(board), report_(board.reports[rank]) {
    in_.resize(kMostBytes / 4 + kMaxRanks);
    out_.resize(in_.size());
    for (size_t i = 0; i < in_.size(); ++i) in_[i] = value(i);
  }

  void run() {
    if (join() && call_until_failure()) finish();
    report_.inputs_intact = true;
    for (size_t i = 0; i < in_.size(); ++i) report_.inputs_intact = report_.inputs_intact && in_[i] == value(i);
    report_.phase.store(Phase::kOver, std::memory_order_release);
    // The listener of the ranks' meeting is here: whoever comes late shall hear from it what happened.
    if (rank_ == 0) wait_for(board_.finish);
  }

 private:
  float value(size_t i) const { return static_cast<float>((i * 7 + static_cast<size_t>(rank_) * 3) % 17); }
  bool victim() const { return rank_ == s_.victim; }

  void wait_for(const std::atomic<bool>& flag) const {
    while (!flag.load(std::memory_order_acquire)) usleep(100);
  }

  // The victim's own doing: from now on the others can notice.
  void act() { report_.acted_at.store(now_s(), std::memory_order_release); }

  // False: it failed, and has been reported.
  bool join() {
    const bool in_init = s_.moment == Moment::kInit;
    if (rank_ == 0) {
      note(tuttiGetUniqueId(&board_.id), nullptr);
      board_.id_there.store(true, std::memory_order_release);
    } else {
      wait_for(board_.id_there);
    }
    report_.phase.store(Phase::kJoining, std::memory_order_release);
    if (in_init && rank_ == s_.late) wait_for(board_.injured);
    if (in_init && victim() && s_.kind == Kind::kNeverCalls) {
      act();
      wait_for(board_.finish);
      return false;
    }
    const tuttiResult_t result = tuttiCommInitRank(&comm_, s_.ranks, board_.id, rank_);
    if (result == tuttiSuccess && s_.streams && tuttiStreamCreate(&stream_) != tuttiSuccess) std::abort();
    if (result == tuttiSuccess) report_.phase.store(Phase::kReady, std::memory_order_release);
    if (result != tuttiSuccess) note(result, nullptr);
    report_.in_init = result != tuttiSuccess;
    return result == tuttiSuccess;
  }

  void note(tuttiResult_t result, tuttiComm_t comm) {
    report_.failed_at = now_s();
    report_.result = result;
    const std::string sentence = tuttiGetLastError(comm);
    std::memcpy(report_.sentence, sentence.c_str(), std::min(sentence.size() + 1, sizeof report_.sentence - 1));
  }

  // True once one has failed; false: this rank was not to call any more.
  bool call_until_failure() {
    for (int k = 0; k < kMostCalls; ++k) {
      Call call = call_of(s_, k);
      if (k == s_.call && !prepare(call)) return false;
      const tuttiResult_t result = make(call, k);
      if (aborter_.joinable()) {
        aborter_.join();
        note_abort(result, k);
        return false;
      }
      if (result != tuttiSuccess) {
        note(result, comm_);
        report_.failed_call = k;
        return true;
      }
      usleep(static_cast<useconds_t>(mix(s_.seed, static_cast<uint64_t>(k), 9) % 4 * 500));
    }
    std::strcpy(report_.sentence, "no call ever failed");
    return true;
  }

  // What happens before the call of the failure. False: it is not made at all.
  bool prepare(Call& call) {
    report_.phase.store(Phase::kAtTheCall, std::memory_order_release);
    if (s_.moment == Moment::kIdle) std::this_thread::sleep_for(kIdle);
    if (s_.moment != Moment::kInit && rank_ == s_.late) {
      if (s_.kind == Kind::kAbort) {
        wait_for(board_.injured);
      } else {
        std::this_thread::sleep_for(kIdle);
      }
    }
    if (!victim() || s_.moment == Moment::kInit) return true;
    if (s_.kind == Kind::kOtherCall) {
      call = other_than(call, s_);
      act();
    }
    if (s_.kind == Kind::kNeverCalls) {
      act();
      // Until the others have reported: then it hears of it too.
      wait_for(board_.finish);
      note_async();
      finish();
      return false;
    }
    return true;
  }

  void note_async() {
    tuttiResult_t async = tuttiSuccess;
    for (int i = 0; i < 5000 && async == tuttiSuccess; ++i) {
      if (tuttiCommGetAsyncError(comm_, &async) != tuttiSuccess) break;
      usleep(1000);
    }
    note(async, comm_);
  }

  tuttiResult_t make(const Call& call, int k) {
    if (k == s_.call && s_.kind == Kind::kAbort && victim()) aborter_ = std::thread([this] { abort_from_outside(); });
    const tuttiResult_t result = submit(call);
    if (stream_ == nullptr) return result;
    submitted_.store(true, std::memory_order_release);
    const tuttiResult_t waited = tuttiStreamSynchronize(stream_);
    return result != tuttiSuccess ? result : waited;
  }

  tuttiResult_t submit(const Call& c) {
    const auto next = (rank_ + 1) % s_.ranks, previous = (rank_ + s_.ranks - 1) % s_.ranks;
    const float* const in = in_.data();
    float* const out = out_.data();
    switch (c.what) {
      case What::kAllReduce: return tuttiAllReduce(in, out, c.count, c.type, c.op, comm_, stream_);
      case What::kAllGather: return tuttiAllGather(in, out, c.count, c.type, comm_, stream_);
      case What::kAllToAll: return tuttiAllToAll(in, out, c.count, c.type, comm_, stream_);
      case What::kBarrier: return tuttiBarrier(comm_, stream_);
      case What::kReduceScatter: return tuttiReduceScatter(in, out, c.count, c.type, c.op, comm_, stream_);
      case What::kBroadcast: return tuttiBroadcast(in, out, c.count, c.type, c.root, comm_, stream_);
      case What::kReduce: return tuttiReduce(in, out, c.count, c.type, c.op, c.root, comm_, stream_);
      case What::kGather: return tuttiGather(in, out, c.count, c.type, c.root, comm_, stream_);
      case What::kScatter: return tuttiScatter(in, out, c.count, c.type, c.root, comm_, stream_);
      case What::kRing: {
        if (const tuttiResult_t result = tuttiGroupStart(); result != tuttiSuccess) return result;
        static_cast<void>(tuttiSend(in, c.count, c.type, next, comm_, stream_));
        static_cast<void>(tuttiRecv(out, c.count, c.type, previous, comm_, stream_));
        return tuttiGroupEnd();
      }
      case What::kGroup: {
        if (const tuttiResult_t result = tuttiGroupStart(); result != tuttiSuccess) return result;
        static_cast<void>(tuttiAllReduce(in, out, c.count, c.type, c.op, comm_, stream_));
        static_cast<void>(tuttiBroadcast(in, out + c.count, c.count, c.type, c.root, comm_, stream_));
        return tuttiGroupEnd();
      }
    }
    std::abort();
  }

  // The blocked thread may not touch the handle after the abort, so the abort has to come while it is inside. What is on a stream is; a
  // thread in a call is found by what Finalize says, which does nothing then. If it comes too early, the run says nothing.
  void abort_from_outside() {
    if (stream_ != nullptr) {
      while (!submitted_.load(std::memory_order_acquire)) usleep(100);
    } else {
      usleep(20'000);
      if (tuttiCommFinalize(comm_) != tuttiInvalidUsage) {
        report_.void_run = true;
        return;
      }
    }
    usleep(static_cast<useconds_t>(s_.delay_us));
    const double before = now_s();
    act();
    aborted_ = tuttiCommAbort(comm_);
    report_.released_s = now_s() - before;
  }

  void note_abort(tuttiResult_t result, int k) {
    note(result, nullptr);
    report_.failed_call = k;
    report_.async = result;
    report_.repeated = aborted_ == tuttiSuccess ? result : aborted_;
    if (stream_ != nullptr) static_cast<void>(tuttiStreamDestroy(stream_));
  }

  // The communicator refuses what follows at once, and can be freed.
  void finish() {
    tuttiResult_t async = tuttiSuccess;
    static_cast<void>(tuttiCommGetAsyncError(comm_, &async));
    report_.async = async;
    double before = now_s();
    report_.repeated = tuttiBarrier(comm_, nullptr);
    report_.repeated_s = now_s() - before;
    if (stream_ != nullptr) static_cast<void>(tuttiStreamDestroy(stream_));
    before = now_s();
    const tuttiResult_t released = s_.ends_by_abort ? tuttiCommAbort(comm_) : tuttiCommDestroy(comm_);
    report_.released_s = released == tuttiSuccess ? now_s() - before : 1e9;
  }

  const Scenario& s_;
  const int rank_;
  Board& board_;
  Report& report_;
  std::vector<float> in_, out_;
  tuttiComm_t comm_ = nullptr;
  tuttiStream_t stream_ = nullptr;
  std::thread aborter_;
  std::atomic<bool> submitted_{false};  // release by the caller, acquire by the aborter
  tuttiResult_t aborted_ = tuttiSuccess;
};

}  // namespace

void run_rank(const Scenario& scenario, int rank, Board& board) {
  for (const Setting& setting : settings_of(scenario, rank)) setenv(setting.name, setting.value.c_str(), 1);
  Rank(scenario, rank, board).run();
}

}  // namespace tutti::failures
