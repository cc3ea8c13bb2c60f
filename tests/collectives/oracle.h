// The reference: what a collective's inputs are, and what every rank must get, written for obviousness. Inputs are functions of the call's
// seed, the rank and the index; whatever is reduced is chosen so that every partial result is exact in its type, in any order.
//
// All data is `packed`: a rank's blocks one after another. Where they lie in a caller's buffers is rank_call.h's business.
// Threading: immutable after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::test {

using Bytes = std::vector<std::byte>;

enum class Kind : uint8_t {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kReduce,
  kGather,
  kScatter,
  kAllToAll,
  kAllGatherV,
  kReduceScatterV,
  kGatherV,
  kScatterV,
  kAllToAllV,
  kBarrier,
};
inline constexpr int kKinds = 14;

// kXor: a user's, commutative. kAffine: a user's that does not commute: an element is a map x -> a x + b, a its low half and b its high
// half, and maps compose.
enum class Op : uint8_t { kSum, kProd, kMax, kMin, kAvg, kPremulSum, kXor, kAffine };
inline constexpr int kOps = 8;

const char* name_of(Kind kind);
const char* name_of(Op op);
bool reduces(Kind kind);
bool has_root(Kind kind);
bool is_uneven(Kind kind);

// What all ranks agree on, and the seed of the data.
struct Call {
  Kind kind = Kind::kAllReduce;
  tuttiDataType_t type = tuttiInt32;
  Op op = Op::kSum;
  int root = 0;
  size_t count = 0;            // as the API counts it; of the forms with equal counts
  std::vector<size_t> counts;  // of the v-forms: rank r's block, or [from * n + to] of all-to-all-v
  uint64_t seed = 0;
};

// "reduce_scatter_v of 5 x float16, prod, root 2".
std::string describe(const Call& call);

// Elements of each block of a rank's input and output; empty where the rank has none.
std::vector<size_t> input_counts(const Call& call, int nranks, int rank);
std::vector<size_t> output_counts(const Call& call, int nranks, int rank);

// Rank `rank`'s packed input.
Bytes make_input(const Call& call, int nranks, int rank);

// One element: rank `rank`'s factor of premulsum.
Bytes premul_scalar(tuttiDataType_t type, int rank);

// result = left op right for the user's reductions, as a tuttiReduceFunction_t of them must do it. Elements may lie anywhere.
void xor_elements(const void* left, const void* right, void* result, size_t count, tuttiDataType_t type);
void compose_affine(const void* left, const void* right, void* result, size_t count, tuttiDataType_t type);

class Oracle {
 public:
  Oracle(Call call, int nranks);

  const Call& call() const { return call_; }
  int nranks() const { return nranks_; }
  const Bytes& input(int rank) const { return inputs_[static_cast<size_t>(rank)]; }
  // Rank `rank`'s packed output.
  Bytes output(int rank) const;

 private:
  // Block `block` of rank `from`'s input.
  void append_input(Bytes& to, int from, int block) const;

  Call call_;
  int nranks_;
  std::vector<Bytes> inputs_;
  Bytes reduced_;  // all inputs together, of the collectives that reduce
};

// `bytes` random bytes.
Bytes random_bytes(uint64_t seed, size_t bytes);

}  // namespace tutti::test
