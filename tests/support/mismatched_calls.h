// Pairs of calls that do not match, and how an error names each. Rank 1 makes the odd one, all others the usual one.
// Threading: value types.
#pragma once

#include <functional>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::test {

// Large enough for every call here, whoever makes it.
struct Buffers {
  std::vector<float> in = std::vector<float>(size_t{1} << 18, 1.0F), out = std::vector<float>(size_t{1} << 18, -7.0F);
};

using Call = std::function<tuttiResult_t(Buffers&, tuttiComm_t)>;

struct MismatchedCalls {
  const char* name;
  Call usual;
  const char* usual_text;
  Call odd;
  const char* odd_text;
};

inline Call all_reduce_of(size_t count, tuttiDataType_t type = tuttiFloat32, tuttiRedOp_t op = tuttiSum) {
  return [=](Buffers& b, tuttiComm_t comm) { return tuttiAllReduce(b.in.data(), b.out.data(), count, type, op, comm, nullptr); };
}

inline Call broadcast_from(int root) {
  return [=](Buffers& b, tuttiComm_t comm) { return tuttiBroadcast(b.in.data(), b.out.data(), 10, tuttiFloat32, root, comm, nullptr); };
}

// `longer`: rank 0's count is one more.
inline Call all_gather_v(bool longer) {
  return [=](Buffers& b, tuttiComm_t comm) {
    int n = 0, rank = 0;
    static_cast<void>(tuttiCommCount(comm, &n));
    static_cast<void>(tuttiCommUserRank(comm, &rank));
    std::vector<size_t> counts(static_cast<size_t>(n), 4), displs(counts.size());
    counts[0] += longer ? 1 : 0;
    for (size_t i = 0; i < displs.size(); ++i) displs[i] = i * 8;
    return tuttiAllGatherV(b.in.data(), counts[static_cast<size_t>(rank)], b.out.data(), counts.data(), displs.data(), tuttiFloat32, comm,
                           nullptr);
  };
}

inline std::vector<MismatchedCalls> mismatched_calls() {
  constexpr const char* kUsual = "called all_reduce number 1 (10 x float32, sum)";
  const Call usual = all_reduce_of(10);
  return {
      {"collective", usual, kUsual, broadcast_from(0), "called broadcast number 1 (10 x float32, root 0)"},
      {"collective of nobody's root", usual, kUsual, broadcast_from(1), "called broadcast number 1 (10 x float32, root 1)"},
      {"barrier", usual, kUsual, [](Buffers&, tuttiComm_t comm) { return tuttiBarrier(comm, nullptr); }, "called barrier number 1"},
      {"count", usual, kUsual, all_reduce_of(11), "called all_reduce number 1 (11 x float32, sum)"},
      {"no elements", usual, kUsual, all_reduce_of(0), "called all_reduce number 1 (0 x float32, sum)"},
      {"inline against staged", usual, kUsual, all_reduce_of(1 << 18), "called all_reduce number 1 (262144 x float32, sum)"},
      {"staged of two sizes", all_reduce_of(100000), "called all_reduce number 1 (100000 x float32, sum)", all_reduce_of(1 << 18),
       "called all_reduce number 1 (262144 x float32, sum)"},
      {"type", usual, kUsual, all_reduce_of(10, tuttiInt32), "called all_reduce number 1 (10 x int32, sum)"},
      {"operator", usual, kUsual, all_reduce_of(10, tuttiFloat32, tuttiMax), "called all_reduce number 1 (10 x float32, max)"},
      {"average", usual, kUsual, all_reduce_of(10, tuttiFloat32, tuttiAvg), "called all_reduce number 1 (10 x float32, avg)"},
      {"root", broadcast_from(0), "called broadcast number 1 (10 x float32, root 0)", broadcast_from(1),
       "called broadcast number 1 (10 x float32, root 1)"},
      {"v-counts", all_gather_v(false), "called all_gather number 1 (", all_gather_v(true), "in all x float32)"},
  };
}

}  // namespace tutti::test
