#include "oracle.h"

#include <algorithm>
#include <iterator>

#include "elements.h"
#include "random.h"

namespace tutti::test {
namespace {

constexpr TypeInfo kTypeInfos[kTypes] = {
    {tuttiInt8, "int8", 1, false, 0},        {tuttiUint8, "uint8", 1, false, 0},     {tuttiInt32, "int32", 4, false, 0},
    {tuttiUint32, "uint32", 4, false, 0},    {tuttiInt64, "int64", 8, false, 0},     {tuttiUint64, "uint64", 8, false, 0},
    {tuttiFloat16, "float16", 2, true, 11},  {tuttiFloat32, "float32", 4, true, 24}, {tuttiFloat64, "float64", 8, true, 53},
    {tuttiBfloat16, "bfloat16", 2, true, 8}, {tuttiFloat8e4m3, "e4m3", 1, true, 4},  {tuttiFloat8e5m2, "e5m2", 1, true, 3},
    {tuttiInt16, "int16", 2, false, 0},      {tuttiUint16, "uint16", 2, false, 0},
};

constexpr int64_t kMostMagnitude = 1'000'000;
constexpr int kMostScale = 2;  // of premulsum's factors of floats

// -most .. most.
int64_t centred(uint64_t hash, int64_t most) {
  return static_cast<int64_t>(hash % static_cast<uint64_t>(2 * most + 1)) - most;
}

// A float input. `turn`, 0 .. n-1, differs between the ranks: where the type is too small for all of them to be non-zero, it says whose
// turn it is.
double float_input(const TypeInfo& type, Op op, int nranks, int turn, uint64_t hash) {
  const int64_t exact = std::min(int64_t{1} << type.significand_bits, kMostMagnitude);
  switch (op) {
    case Op::kMin:
    case Op::kMax: return static_cast<double>(centred(hash, exact));
    case Op::kProd: {  // one odd number, three twos, and ones: one significand and a small exponent
      const double magnitude = turn == 0 ? static_cast<double>(hash % static_cast<uint64_t>(exact / 2) * 2 + 1) : turn <= 3 ? 2 : 1;
      return hash >> 63 != 0 ? -magnitude : magnitude;
    }
    default: {
      const int64_t together = op == Op::kPremulSum ? exact / kMostScale : exact;
      const int64_t each = together / nranks;
      if (each >= 1) return static_cast<double>(centred(hash, each));
      return turn < together ? static_cast<double>(centred(hash, 1)) : 0;
    }
  }
}

// Integers and the user's reductions take any bits. Factors and slopes are odd, so that products keep telling their factors apart.
void fill_reduced_input(const Call& call, int nranks, int rank, Bytes& data) {
  const TypeInfo& type = info_of(call.type);
  const bool odd = call.op == Op::kProd || call.op == Op::kAffine;
  if (!type.is_float || call.op == Op::kXor || call.op == Op::kAffine) {
    if (!odd) return;
    for (size_t at = 0; at < data.size(); at += type.bytes) data[at] |= std::byte{1};
    return;
  }
  const uint64_t stream = mixed(call.seed, static_cast<uint64_t>(rank));
  with_codec(call.type, [&](auto codec) {
    using Bits = typename decltype(codec)::Bits;
    if constexpr (std::is_same_v<typename decltype(codec)::Value, double>) {
      for (size_t i = 0; i < data.size() / sizeof(Bits); ++i) {
        const int turn = static_cast<int>((static_cast<size_t>(rank) + i) % static_cast<size_t>(nranks));
        const Bits bits = codec.encode(float_input(type, call.op, nranks, turn, mixed(stream + i)));
        std::memcpy(data.data() + i * sizeof bits, &bits, sizeof bits);
      }
    }
  });
}

// data[i] = f(data[i]).
template <class Codec, class F>
void map_elements(Codec codec, Bytes& data, const F& f) {
  typename Codec::Bits bits;
  for (size_t at = 0; at < data.size(); at += sizeof bits) {
    std::memcpy(&bits, data.data() + at, sizeof bits);
    bits = codec.encode(f(codec.decode(bits)));
    std::memcpy(data.data() + at, &bits, sizeof bits);
  }
}

// left[i] = f(left[i], right[i]).
template <class Codec, class F>
void fold_elements(Codec codec, Bytes& left, const Bytes& right, const F& f) {
  typename Codec::Bits a, b;
  for (size_t at = 0; at < left.size(); at += sizeof a) {
    std::memcpy(&a, left.data() + at, sizeof a);
    std::memcpy(&b, right.data() + at, sizeof b);
    a = codec.encode(f(codec.decode(a), codec.decode(b)));
    std::memcpy(left.data() + at, &a, sizeof a);
  }
}

void fold(const Call& call, Bytes& left, const Bytes& right) {
  const size_t count = left.size() / info_of(call.type).bytes;
  if (call.op == Op::kXor) return xor_elements(left.data(), right.data(), left.data(), count, call.type);
  if (call.op == Op::kAffine) return compose_affine(left.data(), right.data(), left.data(), count, call.type);
  with_codec(call.type, [&](auto codec) {
    using C = decltype(codec);
    using V = typename C::Value;
    switch (call.op) {
      case Op::kProd: return fold_elements(codec, left, right, C::multiply);
      case Op::kMin: return fold_elements(codec, left, right, [](V a, V b) { return std::min(a, b); });
      case Op::kMax: return fold_elements(codec, left, right, [](V a, V b) { return std::max(a, b); });
      default: return fold_elements(codec, left, right, C::add);
    }
  });
}

Bytes scaled(const Call& call, int rank, Bytes data) {
  if (call.op != Op::kPremulSum) return data;
  const Bytes scalar = premul_scalar(call.type, rank);
  with_codec(call.type, [&](auto codec) {
    typename decltype(codec)::Bits bits;
    std::memcpy(&bits, scalar.data(), sizeof bits);
    const auto factor = codec.decode(bits);
    map_elements(codec, data, [&](auto value) { return codec.multiply(value, factor); });
  });
  return data;
}

// The maps' halves: of a 16-bit element two 8-bit numbers, and so on; 8-bit elements have two of 4 bits.
uint64_t composed(uint64_t left, uint64_t right, int half_bits) {
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  const uint64_t slope = (left & mask) * (right & mask) & mask;
  const uint64_t offset = ((right & mask) * (left >> half_bits) + (right >> half_bits)) & mask;
  return offset << half_bits | slope;
}

}  // namespace

std::span<const TypeInfo, kTypes> all_types() {
  return kTypeInfos;
}

const TypeInfo& info_of(tuttiDataType_t type) {
  return kTypeInfos[type];
}

const char* name_of(Kind kind) {
  constexpr const char* kNames[kKinds] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast",    "reduce",
                                          "gather",     "scatter",    "alltoall",       "all_gather_v", "reduce_scatter_v",
                                          "gather_v",   "scatter_v",  "alltoall_v",     "barrier"};
  return kNames[static_cast<int>(kind)];
}

const char* name_of(Op op) {
  constexpr const char* kNames[kOps] = {"sum", "prod", "max", "min", "avg", "premulsum", "xor (user, commutes)", "affine (user, in order)"};
  return kNames[static_cast<int>(op)];
}

bool reduces(Kind kind) {
  return kind == Kind::kAllReduce || kind == Kind::kReduceScatter || kind == Kind::kReduceScatterV || kind == Kind::kReduce;
}

bool has_root(Kind kind) {
  return kind == Kind::kBroadcast || kind == Kind::kReduce || kind == Kind::kGather || kind == Kind::kScatter || kind == Kind::kGatherV ||
         kind == Kind::kScatterV;
}

bool is_uneven(Kind kind) {
  return kind >= Kind::kAllGatherV && kind <= Kind::kAllToAllV;
}

std::string describe(const Call& call) {
  std::string text = name_of(call.kind);
  if (call.kind == Kind::kBarrier) return text;
  text += " of ";
  if (is_uneven(call.kind)) {
    text += "{";
    for (size_t i = 0; i < call.counts.size() && i < 16; ++i) text.append(i == 0 ? "" : ",").append(std::to_string(call.counts[i]));
    text += call.counts.size() > 16 ? ",...}" : "}";
  } else {
    text += std::to_string(call.count);
  }
  text += std::string(" x ") + info_of(call.type).name;
  if (reduces(call.kind)) text += std::string(", ") + name_of(call.op);
  if (has_root(call.kind)) text += ", root " + std::to_string(call.root);
  return text;
}

std::vector<size_t> input_counts(const Call& call, int nranks, int rank) {
  const auto n = static_cast<size_t>(nranks), r = static_cast<size_t>(rank);
  const bool is_root = rank == call.root;
  switch (call.kind) {
    case Kind::kBarrier: return {};
    case Kind::kBroadcast: return is_root ? std::vector{call.count} : std::vector<size_t>();
    case Kind::kScatter: return is_root ? std::vector(n, call.count) : std::vector<size_t>();
    case Kind::kScatterV: return is_root ? call.counts : std::vector<size_t>();
    case Kind::kReduceScatter:
    case Kind::kAllToAll: return std::vector(n, call.count);
    case Kind::kReduceScatterV: return call.counts;
    case Kind::kAllGatherV:
    case Kind::kGatherV: return {call.counts[r]};
    case Kind::kAllToAllV: return {call.counts.begin() + rank * nranks, call.counts.begin() + (rank + 1) * nranks};
    default: return {call.count};
  }
}

std::vector<size_t> output_counts(const Call& call, int nranks, int rank) {
  const auto n = static_cast<size_t>(nranks), r = static_cast<size_t>(rank);
  const bool is_root = rank == call.root;
  switch (call.kind) {
    case Kind::kBarrier: return {};
    case Kind::kReduce: return is_root ? std::vector{call.count} : std::vector<size_t>();
    case Kind::kGather: return is_root ? std::vector(n, call.count) : std::vector<size_t>();
    case Kind::kGatherV: return is_root ? call.counts : std::vector<size_t>();
    case Kind::kAllGather:
    case Kind::kAllToAll: return std::vector(n, call.count);
    case Kind::kAllGatherV: return call.counts;
    case Kind::kReduceScatterV:
    case Kind::kScatterV: return {call.counts[r]};
    case Kind::kAllToAllV: {
      std::vector<size_t> column;
      for (size_t from = 0; from < n; ++from) column.push_back(call.counts[from * n + r]);
      return column;
    }
    default: return {call.count};
  }
}

Bytes random_bytes(uint64_t seed, size_t bytes) {
  Random random(seed);
  Bytes data(bytes);
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(data.data() + at, &word, std::min(sizeof word, bytes - at));
  }
  return data;
}

Bytes make_input(const Call& call, int nranks, int rank) {
  size_t elems = 0;
  for (const size_t count : input_counts(call, nranks, rank)) elems += count;
  Bytes data = random_bytes(mixed(call.seed, static_cast<uint64_t>(rank)), elems * info_of(call.type).bytes);
  if (reduces(call.kind)) fill_reduced_input(call, nranks, rank, data);
  return data;
}

Bytes premul_scalar(tuttiDataType_t type, int rank) {
  const TypeInfo& info = info_of(type);
  Bytes scalar(info.bytes);
  constexpr double kFactors[] = {1, kMostScale, -1, -kMostScale};
  with_codec(type, [&](auto codec) {
    using Value = typename decltype(codec)::Value;
    const auto value = info.is_float ? static_cast<Value>(kFactors[(rank + 1) % 4]) : static_cast<Value>(2 * rank + 3);
    const auto bits = codec.encode(value);
    std::memcpy(scalar.data(), &bits, sizeof bits);
  });
  return scalar;
}

void xor_elements(const void* left, const void* right, void* result, size_t count, tuttiDataType_t type) {
  const auto* a = static_cast<const uint8_t*>(left);
  const auto* b = static_cast<const uint8_t*>(right);
  auto* to = static_cast<uint8_t*>(result);
  for (size_t i = 0; i < count * info_of(type).bytes; ++i) to[i] = a[i] ^ b[i];
}

void compose_affine(const void* left, const void* right, void* result, size_t count, tuttiDataType_t type) {
  const size_t bytes = info_of(type).bytes;
  for (size_t at = 0; at < count * bytes; at += bytes) {
    uint64_t a = 0, b = 0;  // little-endian: the low bytes come first
    std::memcpy(&a, static_cast<const std::byte*>(left) + at, bytes);
    std::memcpy(&b, static_cast<const std::byte*>(right) + at, bytes);
    const uint64_t c = composed(a, b, static_cast<int>(4 * bytes));
    std::memcpy(static_cast<std::byte*>(result) + at, &c, bytes);
  }
}

Oracle::Oracle(Call call, int nranks) : call_(std::move(call)), nranks_(nranks) {
  for (int rank = 0; rank < nranks; ++rank) inputs_.push_back(make_input(call_, nranks, rank));
  if (!reduces(call_.kind)) return;
  reduced_ = scaled(call_, 0, inputs_.front());
  for (int rank = 1; rank < nranks; ++rank) fold(call_, reduced_, scaled(call_, rank, input(rank)));
  if (call_.op != Op::kAvg) return;
  with_codec(call_.type, [&](auto codec) { map_elements(codec, reduced_, [&](auto sum) { return codec.divide(sum, nranks); }); });
}

void Oracle::append_input(Bytes& to, int from, int block) const {
  const std::vector<size_t> counts = input_counts(call_, nranks_, from);
  const size_t bytes = info_of(call_.type).bytes;
  size_t at = 0;
  for (int b = 0; b < block; ++b) at += counts[static_cast<size_t>(b)];
  const std::byte* const start = input(from).data() + at * bytes;
  to.insert(to.end(), start, start + counts[static_cast<size_t>(block)] * bytes);
}

Bytes Oracle::output(int rank) const {
  Bytes packed;
  const std::vector<size_t> counts = output_counts(call_, nranks_, rank);
  switch (call_.kind) {
    case Kind::kBarrier: break;
    case Kind::kAllReduce: return reduced_;
    case Kind::kReduce: return rank == call_.root ? reduced_ : Bytes();
    case Kind::kReduceScatter:
    case Kind::kReduceScatterV: {
      const std::vector<size_t> blocks = input_counts(call_, nranks_, rank);
      size_t at = 0;
      for (int r = 0; r < rank; ++r) at += blocks[static_cast<size_t>(r)];
      const std::byte* const start = reduced_.data() + at * info_of(call_.type).bytes;
      return {start, start + counts.front() * info_of(call_.type).bytes};
    }
    case Kind::kBroadcast: return input(call_.root);
    case Kind::kScatter:
    case Kind::kScatterV: append_input(packed, call_.root, rank); break;
    case Kind::kAllToAll:
    case Kind::kAllToAllV:
      for (int from = 0; from < nranks_; ++from) append_input(packed, from, rank);
      break;
    default:  // the gathering ones
      for (int from = 0; from < nranks_ && !counts.empty(); ++from) append_input(packed, from, 0);
  }
  return packed;
}

}  // namespace tutti::test
