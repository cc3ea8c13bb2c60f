// See communicator.h.
#include "communicator.h"

#include <algorithm>
#include <exception>
#include <numeric>

namespace perf {
namespace {

constexpr unsigned kParts = 4;  // that a 64-bit number is cut into to travel as floats

}  // namespace

void must(tuttiResult_t result, tuttiComm_t comm, const char* what) {
  if (result == tuttiSuccess) return;
  throw Failure(std::string(what) + ": " + tuttiGetErrorString(result) + ": " + tuttiGetLastError(comm));
}

Communicator::Communicator(const Membership& membership) : exceptions_(std::uncaught_exceptions()) {
  if (membership.from_env) {
    must(tuttiCommInitFromEnv(&comm_, nullptr), nullptr, "tuttiCommInitFromEnv");
  } else {
    must(tuttiCommInitRank(&comm_, membership.ranks, membership.id, membership.rank), nullptr, "tuttiCommInitRank");
  }
  tuttiResult_t result = tuttiCommUserRank(comm_, &rank_);
  if (result == tuttiSuccess) result = tuttiCommCount(comm_, &ranks_);
  if (result == tuttiSuccess && rank_ == membership.rank && ranks_ == membership.ranks) return;
  tuttiCommAbort(comm_);  // no destructor runs for a constructor that throws
  must(result, nullptr, "tuttiCommUserRank or tuttiCommCount");
  throw Failure("joined as rank " + std::to_string(rank_) + " of " + std::to_string(ranks_) + ", expected rank " +
                std::to_string(membership.rank) + " of " + std::to_string(membership.ranks));
}

Communicator::~Communicator() {
  if (std::uncaught_exceptions() > exceptions_) {
    tuttiCommAbort(comm_);
  } else {
    tuttiCommFinalize(comm_);
    tuttiCommDestroy(comm_);
  }
}

Exchange::Exchange(const Communicator& comm)
    : comm_(comm.handle()),
      rank_(static_cast<size_t>(comm.rank())),
      ranks_(static_cast<size_t>(comm.ranks())),
      send_(kParts * ranks_),
      recv_(kParts * ranks_) {}

void Exchange::all_reduce(size_t count) {
  recv_.resize(count);
  must(tuttiAllReduce(send_.data(), recv_.data(), count, tuttiFloat32, tuttiSum, comm_, nullptr), comm_,
       "tuttiAllReduce of a control message");
}

// Nobody has a sum before everybody has given a summand.
void Exchange::barrier() {
  all_reduce(1);
}

const std::vector<float>& Exchange::gather(float mine) {
  send_[rank_] = mine;
  all_reduce(ranks_);
  send_[rank_] = 0;
  return recv_;
}

float Exchange::max(float mine) {
  const std::vector<float>& all = gather(mine);
  return *std::max_element(all.begin(), all.end());
}

std::vector<uint64_t> Exchange::gather_count(uint64_t mine) {
  constexpr unsigned kPartBits = 64 / kParts;  // float32 holds them exactly
  constexpr uint64_t kPartMask = (uint64_t{1} << kPartBits) - 1;
  float* slots = &send_[kParts * rank_];
  for (unsigned part = 0; part < kParts; ++part) slots[part] = static_cast<float>(mine >> (kPartBits * part) & kPartMask);
  all_reduce(kParts * ranks_);
  std::fill_n(slots, kParts, 0.0f);
  std::vector<uint64_t> counts(ranks_);
  for (size_t slot = 0; slot < kParts * ranks_; ++slot) {
    counts[slot / kParts] |= static_cast<uint64_t>(recv_[slot]) << (kPartBits * (slot % kParts));
  }
  return counts;
}

uint64_t Exchange::sum_counts(uint64_t mine) {
  const std::vector<uint64_t> counts = gather_count(mine);
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

}  // namespace perf
