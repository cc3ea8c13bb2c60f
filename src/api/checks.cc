#include "api/checks.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tutti {
namespace {

constexpr size_t kMostBytes = std::numeric_limits<ptrdiff_t>::max();

// Created reductions' handles follow the built-in ones.
constexpr int kFirstCreated = tuttiAvg + 1;

// Element sizes are powers of two: no division on the way of every call.
inline Status check_buffer(const CallBuffer& buffer, size_t elem_bytes) {
  if (!buffer.used || buffer.elems == 0) return {};
  size_t bytes = 0;
  if (__builtin_mul_overflow(buffer.elems, elem_bytes, &bytes) || bytes > kMostBytes) {
    return bad_argument(std::string(buffer.name) + " would have " + std::to_string(buffer.elems) +
                        " elements, more than memory can hold: was a count computed from a negative number?");
  }
  if (buffer.data == nullptr) return bad_argument(std::string(buffer.name) + " is NULL");
  if ((reinterpret_cast<uintptr_t>(buffer.data) & (elem_bytes - 1)) != 0) {
    return bad_argument(std::string(buffer.name) + " is not aligned to the element's " + std::to_string(elem_bytes) + " bytes");
  }
  return {};
}

}  // namespace

Result<DataType> check_type(int datatype) {
  switch (datatype) {
    case tuttiInt8: return DataType::kInt8;
    case tuttiUint8: return DataType::kUint8;
    case tuttiInt32: return DataType::kInt32;
    case tuttiUint32: return DataType::kUint32;
    case tuttiInt64: return DataType::kInt64;
    case tuttiUint64: return DataType::kUint64;
    case tuttiFloat16: return DataType::kFloat16;
    case tuttiFloat32: return DataType::kFloat32;
    case tuttiFloat64: return DataType::kFloat64;
    case tuttiBfloat16: return DataType::kBfloat16;
    case tuttiFloat8e4m3: return DataType::kFloat8E4m3;
    case tuttiFloat8e5m2: return DataType::kFloat8E5m2;
    case tuttiInt16: return DataType::kInt16;
    case tuttiUint16: return DataType::kUint16;
  }
  return bad_argument("datatype " + std::to_string(datatype) + " is unknown: give one of tuttiDataType_t");
}

Status check_reduction(int op, int datatype, Communicator& comm, ReductionCall& call) {
  const Result<DataType> type = check_type(datatype);
  if (!type.ok()) return type.status();
  switch (op) {
    case tuttiSum: break;
    case tuttiProd: call.arithmetic.op = Reduction::kProd; break;
    case tuttiMax: call.arithmetic.op = Reduction::kMax; break;
    case tuttiMin: call.arithmetic.op = Reduction::kMin; break;
    case tuttiAvg:
      call.divide = true;
      call.arithmetic.divisor = static_cast<uint32_t>(comm.nranks());
      break;
    default: {
      const CreatedReduction* const created = comm.reduction(op - kFirstCreated);
      if (created == nullptr) {
        return bad_argument("op " + std::to_string(op) + " is no reduction of this communicator: it was never created, or destroyed");
      }
      if (created->premul && created->call.arithmetic.type != type.value()) {
        return bad_argument("op was created for " + std::string(type_name(created->call.arithmetic.type)) + ", datatype is " +
                            type_name(type.value()));
      }
      call = created->call;
      call.user.datatype = static_cast<tuttiDataType_t>(datatype);
    }
  }
  call.arithmetic.type = type.value();
  return {};
}

Status check_root(int root, const Communicator& comm) {
  if (root >= 0 && root < comm.nranks()) return {};
  return bad_argument("root is " + std::to_string(root) + ": give 0 .. " + std::to_string(comm.nranks() - 1));
}

Status check_buffers(const CallBuffer& input, const CallBuffer& output, DataType type, const InPlace& in_place) {
  const size_t elem_bytes = type_bytes(type);
  if (Status status = check_buffer(input, elem_bytes); !status.ok()) return status;
  if (Status status = check_buffer(output, elem_bytes); !status.ok()) return status;
  if (!input.used || !output.used || input.elems == 0 || output.elems == 0) return {};
  const auto in = reinterpret_cast<uintptr_t>(input.data), out = reinterpret_cast<uintptr_t>(output.data);
  const bool overlap = in < out + output.elems * elem_bytes && out < in + input.elems * elem_bytes;
  if (!overlap) return {};
  const bool exact = in + in_place.output_at * elem_bytes == out + in_place.input_at * elem_bytes;
  if (in_place.allowed && exact) return {};
  return bad_argument(std::string(input.name) + " and " + output.name +
                      (in_place.allowed ? " overlap, but not as the in-place form does: give that, or separate buffers"
                                        : " overlap, and this call has no in-place form: give separate buffers"));
}

Result<BlockList> make_blocks(void* data, const size_t* counts, const size_t* displs, int nblocks, DataType type, const char* counts_name) {
  if (counts == nullptr) return bad_argument(std::string(counts_name) + " is NULL");
  const size_t elem_bytes = type_bytes(type);
  BlockList list;
  list.blocks.reserve(static_cast<size_t>(nblocks));
  for (int i = 0; i < nblocks; ++i) {
    const size_t count = counts[i];
    const size_t at = displs != nullptr ? displs[i] : list.elems;
    if (count > kMostBytes / elem_bytes || at > kMostBytes / elem_bytes - count || list.elems > kMostBytes / elem_bytes - count) {
      return bad_argument(std::string(counts_name) + "[" + std::to_string(i) + "] is " + std::to_string(count) +
                          ", more than memory can hold: was it computed from a negative number?");
    }
    std::byte* const start = data == nullptr ? nullptr : static_cast<std::byte*>(data) + at * elem_bytes;
    list.blocks.push_back({.data = start, .elems = count});
    list.elems += count;
    if (count != 0) list.extent = std::max(list.extent, at + count);
    list.longest = std::max(list.longest, count);
  }
  return list;
}

}  // namespace tutti
