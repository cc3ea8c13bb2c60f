// The C entry points of the collectives: check, make a Request, hand it on, now or at the end of the open group.
#include <optional>

#include "api/checks.h"
#include "api/group.h"

using namespace tutti;

namespace tutti {
namespace {

// What every collective call names.
struct Call {
  Communicator& comm;
  int datatype;
  tuttiStream_t stream;
};

// NULL: complete on return. Errors: kInvalidArgument.
Result<HostStream*> check_stream(tuttiStream_t stream) {
  if (stream == nullptr) return static_cast<HostStream*>(nullptr);
  if (HostStream* const found = HostStream::find(stream)) return found;
  return bad_argument("stream is no live stream: give NULL, or one from tuttiStreamCreate");
}

Status run(tuttiStream_t handle, Communicator& comm, const Request& request) {
  const Result<HostStream*> stream = check_stream(handle);
  if (!stream.ok()) return stream.status();
  if (Group::any_open()) {
    Group::of_this_thread().add(stream.value(), comm, request);
    return {};
  }
  if (stream.value() == nullptr) return comm.submit(request);
  Batch batch;
  batch.add(comm, request);
  return run_on_stream(*stream.value(), std::move(batch));
}

Status run_uneven(const Call& call, Request request, std::vector<Block> inputs, std::vector<Block> outputs) {
  const Result<HostStream*> stream = check_stream(call.stream);
  if (!stream.ok()) return stream.status();
  request.uneven = true;
  if (Group::any_open()) {
    Group::of_this_thread().add(stream.value(), call.comm, request, std::move(inputs), std::move(outputs));
    return {};
  }
  Batch batch;
  batch.add(call.comm, request, std::move(inputs), std::move(outputs));
  return stream.value() == nullptr ? run_inline(batch) : run_on_stream(*stream.value(), std::move(batch));
}

// Everything that does not differ between collectives: `request` has its collective, root and count already; `op` is nullptr where nothing
// is reduced.
Status prepare(const Call& call, std::optional<int> op, Request& request) {
  if (op) {
    if (Status status = check_reduction(*op, call.datatype, call.comm, request.reduction); !status.ok()) return status;
  } else {
    const Result<DataType> type = check_type(call.datatype);
    if (!type.ok()) return type.status();
    request.reduction.arithmetic.type = type.value();
  }
  return has_root(request.collective) ? check_root(request.root, call.comm) : Status();
}

// Runs a collective of equal counts.
Status even(const Call& call, Collective collective, const void* sendbuff, void* recvbuff, size_t count, std::optional<int> op, int root) {
  Request request = {.collective = collective, .count = count, .root = root, .input = sendbuff, .output = recvbuff};
  if (Status status = prepare(call, op, request); !status.ok()) return status;
  const auto nranks = static_cast<size_t>(call.comm.nranks()), rank = static_cast<size_t>(call.comm.rank());
  const size_t inputs = input_blocks(collective, call.comm.nranks()), outputs = output_blocks(collective, call.comm.nranks());
  size_t total = 0;
  if (__builtin_mul_overflow(count, nranks, &total)) {
    return bad_argument("count is " + std::to_string(count) + ", more than memory can hold: was it computed from a negative number?");
  }
  const bool is_root = call.comm.rank() == root;
  const bool root_reads = collective == Collective::kBroadcast || collective == Collective::kScatter;
  const bool root_writes = collective == Collective::kReduce || collective == Collective::kGather;
  const InPlace in_place = {.allowed = collective != Collective::kAllToAll,
                            .input_at = outputs > inputs ? rank * count : 0,
                            .output_at = inputs > outputs ? rank * count : 0};
  const Status status =
      check_buffers({"sendbuff", sendbuff, inputs * count, !root_reads || is_root},
                    {"recvbuff", recvbuff, outputs * count, !root_writes || is_root}, request.reduction.arithmetic.type, in_place);
  return status.ok() ? run(call.stream, call.comm, request) : status;
}

Status barrier(Communicator& comm, tuttiStream_t stream) {
  // Its messages carry a token that means nothing: all barriers may send this one. The lane has a place for those that come.
  static const std::byte token{};
  Request request = {.collective = Collective::kBarrier, .count = 1, .input = &token};
  request.reduction.arithmetic.type = DataType::kUint8;
  return run(stream, comm, request);
}

Status all_gather_v(const Call& call, const void* sendbuff, size_t sendcount, void* recvbuff, const size_t* recvcounts,
                    const size_t* displs) {
  Request request = {.collective = Collective::kAllGather};
  if (Status status = prepare(call, std::nullopt, request); !status.ok()) return status;
  const DataType type = request.reduction.arithmetic.type;
  Result<BlockList> outputs = make_blocks(recvbuff, recvcounts, displs, call.comm.nranks(), type, "recvcounts");
  if (!outputs.ok()) return outputs.status();
  const auto rank = static_cast<size_t>(call.comm.rank());
  if (sendcount != recvcounts[rank]) {
    return bad_argument("sendcount is " + std::to_string(sendcount) + ", but recvcounts[" + std::to_string(rank) + "] is " +
                        std::to_string(recvcounts[rank]) + ": they must be equal");
  }
  const size_t own_at = displs != nullptr ? displs[rank] : static_cast<size_t>(0);
  size_t input_at = own_at;
  if (displs == nullptr) {
    for (size_t r = 0; r < rank; ++r) input_at += recvcounts[r];
  }
  const Status status =
      check_buffers({"sendbuff", sendbuff, sendcount}, {"recvbuff", recvbuff, outputs->extent}, type, {.input_at = input_at});
  if (!status.ok()) return status;
  request.count = outputs->longest;
  request.agreed_bytes = outputs->elems * type_bytes(type);
  return run_uneven(call, request, {{.data = const_cast<void*>(sendbuff), .elems = sendcount}}, std::move(outputs->blocks));
}

Status reduce_scatter_v(const Call& call, const void* sendbuff, const size_t* recvcounts, const size_t* displs, void* recvbuff, int op) {
  Request request = {.collective = Collective::kReduceScatter};
  if (Status status = prepare(call, op, request); !status.ok()) return status;
  const DataType type = request.reduction.arithmetic.type;
  Result<BlockList> inputs = make_blocks(const_cast<void*>(sendbuff), recvcounts, displs, call.comm.nranks(), type, "recvcounts");
  if (!inputs.ok()) return inputs.status();
  const auto rank = static_cast<size_t>(call.comm.rank());
  size_t output_at = displs != nullptr ? displs[rank] : 0;
  if (displs == nullptr) {
    for (size_t r = 0; r < rank; ++r) output_at += recvcounts[r];
  }
  const Status status =
      check_buffers({"sendbuff", sendbuff, inputs->extent}, {"recvbuff", recvbuff, recvcounts[rank]}, type, {.output_at = output_at});
  if (!status.ok()) return status;
  request.count = inputs->longest;
  request.agreed_bytes = inputs->elems * type_bytes(type);
  return run_uneven(call, request, std::move(inputs->blocks), {{.data = recvbuff, .elems = recvcounts[rank]}});
}

// GatherV and ScatterV mirror each other: `own` is the rank's own block, `all` the root's buffer of everybody's.
Status rooted_v(const Call& call, Collective collective, void* own, size_t own_count, void* all, const size_t* counts, const size_t* displs,
                int root) {
  Request request = {.collective = collective, .count = own_count, .root = root};
  if (Status status = prepare(call, std::nullopt, request); !status.ok()) return status;
  const DataType type = request.reduction.arithmetic.type;
  const bool gathers = collective == Collective::kGather;
  const CallBuffer own_buffer = {gathers ? "sendbuff" : "recvbuff", own, own_count};
  std::vector<Block> own_block = {{.data = own, .elems = own_count}};
  BlockList list;
  if (call.comm.rank() == root) {
    Result<BlockList> blocks = make_blocks(all, counts, displs, call.comm.nranks(), type, gathers ? "recvcounts" : "sendcounts");
    if (!blocks.ok()) return blocks.status();
    list = std::move(*blocks);
    if (counts[root] != own_count) {
      return bad_argument("the root's own count is " + std::to_string(own_count) + ", but its entry in the counts is " +
                          std::to_string(counts[root]) + ": they must be equal");
    }
  }
  const CallBuffer all_buffer = {gathers ? "recvbuff" : "sendbuff", all, list.extent, call.comm.rank() == root};
  size_t own_at = 0;
  for (int r = 0; displs == nullptr && r < root && !list.blocks.empty(); ++r) own_at += counts[r];
  if (displs != nullptr && !list.blocks.empty()) own_at = displs[root];
  const Status status = gathers ? check_buffers(own_buffer, all_buffer, type, {.input_at = own_at})
                                : check_buffers(all_buffer, own_buffer, type, {.output_at = own_at});
  if (!status.ok()) return status;
  request.count = std::max(own_count, list.longest);
  return gathers ? run_uneven(call, request, std::move(own_block), std::move(list.blocks))
                 : run_uneven(call, request, std::move(list.blocks), std::move(own_block));
}

Status all_to_all_v(const Call& call, const void* sendbuff, const size_t* sendcounts, const size_t* senddispls, void* recvbuff,
                    const size_t* recvcounts, const size_t* recvdispls) {
  Request request = {.collective = Collective::kAllToAll};
  if (Status status = prepare(call, std::nullopt, request); !status.ok()) return status;
  const DataType type = request.reduction.arithmetic.type;
  Result<BlockList> inputs = make_blocks(const_cast<void*>(sendbuff), sendcounts, senddispls, call.comm.nranks(), type, "sendcounts");
  if (!inputs.ok()) return inputs.status();
  Result<BlockList> outputs = make_blocks(recvbuff, recvcounts, recvdispls, call.comm.nranks(), type, "recvcounts");
  if (!outputs.ok()) return outputs.status();
  const auto rank = static_cast<size_t>(call.comm.rank());
  if (sendcounts[rank] != recvcounts[rank]) {
    return bad_argument("sendcounts[rank] is " + std::to_string(sendcounts[rank]) + " and recvcounts[rank] is " +
                        std::to_string(recvcounts[rank]) + ": what a rank sends to itself it also receives");
  }
  const Status status =
      check_buffers({"sendbuff", sendbuff, inputs->extent}, {"recvbuff", recvbuff, outputs->extent}, type, {.allowed = false});
  if (!status.ok()) return status;
  request.count = std::max(inputs->longest, outputs->longest);
  return run_uneven(call, request, std::move(inputs->blocks), std::move(outputs->blocks));
}

Status point_to_point(const Call& call, bool is_send, void* data, size_t count, int peer) {
  const Result<DataType> type = check_type(call.datatype);
  if (!type.ok()) return type.status();
  if (peer < 0 || peer >= call.comm.nranks())
    return bad_argument("peer is " + std::to_string(peer) + ": give 0 .. " + std::to_string(call.comm.nranks() - 1));
  const Status status = check_buffers({is_send ? "sendbuff" : "recvbuff", data, count}, {"", nullptr, 0, false}, type.value(), {});
  if (!status.ok()) return status;
  const PointToPoint one = {.is_send = is_send, .peer = peer, .data = data, .count = count, .type = type.value()};
  const Result<HostStream*> stream = check_stream(call.stream);
  if (!stream.ok()) return stream.status();
  if (Group::any_open()) {
    Group::of_this_thread().add(stream.value(), call.comm, one);
    return {};
  }
  Batch batch;
  batch.add(call.comm, one);
  return stream.value() == nullptr ? run_inline(batch) : run_on_stream(*stream.value(), std::move(batch));
}

// Guards a collective on a live communicator; a refusal inside a group refuses the group.
template <class Body>
tuttiResult_t collective(const char* name, tuttiComm_t comm, const Body& body) {
  return refuse_in_group(guarded_on(name, comm, body));
}

}  // namespace
}  // namespace tutti

extern "C" {

tuttiResult_t tuttiAllReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiAllReduce", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kAllReduce, sendbuff, recvbuff, count, number_of(op), 0);
  });
}

tuttiResult_t tuttiAllGather(const void* sendbuff, void* recvbuff, size_t sendcount, tuttiDataType_t datatype, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return collective("tuttiAllGather", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kAllGather, sendbuff, recvbuff, sendcount, std::nullopt, 0);
  });
}

tuttiResult_t tuttiReduceScatter(const void* sendbuff, void* recvbuff, size_t recvcount, tuttiDataType_t datatype, tuttiRedOp_t op,
                                 tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiReduceScatter", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kReduceScatter, sendbuff, recvbuff, recvcount, number_of(op), 0);
  });
}

tuttiResult_t tuttiBroadcast(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return collective("tuttiBroadcast", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kBroadcast, sendbuff, recvbuff, count, std::nullopt, root);
  });
}

tuttiResult_t tuttiBcast(void* buff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiBcast", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kBroadcast, buff, buff, count, std::nullopt, root);
  });
}

tuttiResult_t tuttiReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op, int root,
                          tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiReduce", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kReduce, sendbuff, recvbuff, count, number_of(op), root);
  });
}

tuttiResult_t tuttiGather(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                          tuttiStream_t stream) {
  return collective("tuttiGather", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kGather, sendbuff, recvbuff, count, std::nullopt, root);
  });
}

tuttiResult_t tuttiScatter(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                           tuttiStream_t stream) {
  return collective("tuttiScatter", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kScatter, sendbuff, recvbuff, count, std::nullopt, root);
  });
}

tuttiResult_t tuttiAllToAll(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiComm_t comm,
                            tuttiStream_t stream) {
  return collective("tuttiAllToAll", comm, [&](Communicator& c) {
    return even({c, number_of(datatype), stream}, Collective::kAllToAll, sendbuff, recvbuff, count, std::nullopt, 0);
  });
}

tuttiResult_t tuttiBarrier(tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiBarrier", comm, [&](Communicator& c) { return barrier(c, stream); });
}

tuttiResult_t tuttiAllGatherV(const void* sendbuff, size_t sendcount, void* recvbuff, const size_t* recvcounts, const size_t* displs,
                              tuttiDataType_t datatype, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiAllGatherV", comm, [&](Communicator& c) {
    return all_gather_v({c, number_of(datatype), stream}, sendbuff, sendcount, recvbuff, recvcounts, displs);
  });
}

tuttiResult_t tuttiReduceScatterV(const void* sendbuff, const size_t* recvcounts, const size_t* displs, void* recvbuff,
                                  tuttiDataType_t datatype, tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiReduceScatterV", comm, [&](Communicator& c) {
    return reduce_scatter_v({c, number_of(datatype), stream}, sendbuff, recvcounts, displs, recvbuff, number_of(op));
  });
}

tuttiResult_t tuttiGatherV(const void* sendbuff, size_t sendcount, void* recvbuff, const size_t* recvcounts, const size_t* displs,
                           tuttiDataType_t datatype, int root, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiGatherV", comm, [&](Communicator& c) {
    return rooted_v({c, number_of(datatype), stream}, Collective::kGather, const_cast<void*>(sendbuff), sendcount, recvbuff, recvcounts,
                    displs, root);
  });
}

tuttiResult_t tuttiScatterV(const void* sendbuff, const size_t* sendcounts, const size_t* displs, void* recvbuff, size_t recvcount,
                            tuttiDataType_t datatype, int root, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiScatterV", comm, [&](Communicator& c) {
    return rooted_v({c, number_of(datatype), stream}, Collective::kScatter, recvbuff, recvcount, const_cast<void*>(sendbuff), sendcounts,
                    displs, root);
  });
}

tuttiResult_t tuttiAllToAllV(const void* sendbuff, const size_t* sendcounts, const size_t* senddispls, void* recvbuff,
                             const size_t* recvcounts, const size_t* recvdispls, tuttiDataType_t datatype, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return collective("tuttiAllToAllV", comm, [&](Communicator& c) {
    return all_to_all_v({c, number_of(datatype), stream}, sendbuff, sendcounts, senddispls, recvbuff, recvcounts, recvdispls);
  });
}

tuttiResult_t tuttiSend(const void* sendbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiSend", comm, [&](Communicator& c) {
    return point_to_point({c, number_of(datatype), stream}, true, const_cast<void*>(sendbuff), count, peer);
  });
}

tuttiResult_t tuttiRecv(void* recvbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiRecv", comm, [&](Communicator& c) {
    return point_to_point({c, number_of(datatype), stream}, false, recvbuff, count, peer);
  });
}

}  // extern "C"
