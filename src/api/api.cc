// The C entry points of a communicator's life, and of groups: check, guard, hand on.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>

#include "api/group.h"
#include "api/handle.h"
#include "comm/split.h"
#include "launch/find_job.h"

using namespace tutti;

namespace tutti {
namespace {

constexpr double kLeastMeeting_s = 1;  // even where the launcher took nearly all of the init timeout

// A double of tuttiConfig_t over the process's setting.
Status lay_over(const char* name, double value, double& field) {
  if (value == TUTTI_CONFIG_UNSET) return {};
  if (!(value >= 0) || value > 1e9) return bad_argument(std::string("config->") + name + " must be 0 .. 1e9, or TUTTI_CONFIG_UNSET");
  field = value;
  return {};
}

// `device`: where `given` names none.
Result<Config> effective_config(const tuttiConfig_t* given, const std::string& device = "host") {
  if (!process_config().ok()) return process_config().status();
  Config config = process_config().value();
  config.device = device;
  if (given == nullptr) return config;
  tuttiConfig_t c = TUTTI_CONFIG_INITIALIZER;
  constexpr size_t kHead = offsetof(tuttiConfig_t, initTimeout);
  if (given->magic != TUTTI_CONFIG_MAGIC || given->size < kHead) {
    return bad_argument("config was not started from TUTTI_CONFIG_INITIALIZER");
  }
  // An older program's struct ends earlier; a newer one's holds fields that this library does not know.
  if (given->size > sizeof c)
    return bad_argument("config is of a newer Tutti than this library: rebuild the program, or update the library");
  std::memcpy(&c, given, given->size);
  for (Status status : {lay_over("initTimeout", c.initTimeout, config.init_timeout_s), lay_over("timeout", c.timeout, config.timeout_s),
                        lay_over("spin", c.spin, config.spin_us), lay_over("yield", c.yield, config.yield_us)}) {
    if (!status.ok()) return status;
  }
  if (c.algorithm != nullptr) config.algorithm = c.algorithm;
  if (c.device != nullptr) config.device = c.device;
  return config;
}

// Makes the communicator now, or at the end of the open group.
Status make_or_queue(tuttiComm_t* comm, const RendezvousId& id, const Joining& joining, const Config& config) {
  const PendingInit init = {.handle = comm, .id = id, .joining = joining, .config = config};
  if (!Group::any_open()) return make_communicator(init);
  Group::of_this_thread().add(init);
  return {};
}

Status init_rank(tuttiComm_t* comm, int nranks, const tuttiUniqueId& id, int rank, const tuttiConfig_t* given) {
  if (comm == nullptr) return bad_argument("comm is NULL: give the address of a tuttiComm_t");
  *comm = nullptr;
  if (nranks < 1 || nranks > kMaxRanks) {
    return bad_argument("nranks is " + std::to_string(nranks) + ": give 1 .. " + std::to_string(kMaxRanks));
  }
  if (rank < 0 || rank >= nranks) {
    return bad_argument("rank is " + std::to_string(rank) + ": give 0 .. " + std::to_string(nranks - 1) + " (nranks is " +
                        std::to_string(nranks) + ")");
  }
  const Result<RendezvousId> decoded = decode_id(id);
  if (!decoded.ok()) return decoded.status();
  const Result<Config> config = effective_config(given);
  if (!config.ok()) return config.status();
  const Joining joining = {.rank = rank, .nranks = nranks, .timeout_s = config.value().init_timeout_s};
  return make_or_queue(comm, decoded.value(), joining, config.value());
}

Status init_all(tuttiComm_t* comms, int ndev, const int* devlist) {
  if (comms == nullptr) return bad_argument("comms is NULL: give an array of ndev tuttiComm_t");
  if (ndev < 1 || ndev > kMaxRanks) return bad_argument("ndev is " + std::to_string(ndev) + ": give 1 .. " + std::to_string(kMaxRanks));
  if (devlist != nullptr) return bad_argument("devlist must be NULL: this version has host ranks only");
  std::fill(comms, comms + ndev, nullptr);
  const Result<Config> config = effective_config(nullptr);
  if (!config.ok()) return config.status();
  const Result<RendezvousId> id = open_rendezvous();
  if (!id.ok()) return id.status();
  std::vector<PendingInit> inits;
  for (int rank = 0; rank < ndev; ++rank) {
    const Joining joining = {.rank = rank, .nranks = ndev, .timeout_s = config.value().init_timeout_s};
    inits.push_back({.handle = &comms[rank], .id = id.value(), .joining = joining, .config = config.value()});
  }
  return make_communicators(inits);
}

Status init_from_env(tuttiComm_t* comm, const tuttiConfig_t* given) {
  if (comm == nullptr) return bad_argument("comm is NULL: give the address of a tuttiComm_t");
  *comm = nullptr;
  const Result<Config> config = effective_config(given);
  if (!config.ok()) return config.status();
  const auto begun = std::chrono::steady_clock::now();
  const Result<JobPlace> place = find_job(config.value());
  if (!place.ok()) return place.status();
  // One bound for both: what the launcher's exchange has left.
  const double bound_s = config.value().init_timeout_s, spent_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  static std::atomic<uint32_t> calls{0};  // relaxed: only numbers
  const Joining joining = {.rank = place.value().rank,
                           .nranks = place.value().nranks,
                           .meeting = calls.fetch_add(1, std::memory_order_relaxed) + 1,
                           .timeout_s = bound_s > 0 ? std::max(bound_s - spent_s, kLeastMeeting_s) : 0};
  return make_or_queue(comm, place.value().id, joining, config.value());
}

Status split(Communicator& parent, int color, int key, tuttiComm_t* newcomm, const tuttiConfig_t* given) {
  if (newcomm == nullptr) return bad_argument("newcomm is NULL: give the address of a tuttiComm_t");
  *newcomm = nullptr;
  if (color < 0 && color != TUTTI_SPLIT_NOCOLOR)
    return bad_argument("color is " + std::to_string(color) + ": give 0 or more, or TUTTI_SPLIT_NOCOLOR");
  if (Group::any_open()) return {Code::kInvalidUsage, "a split cannot be part of a group: call it outside"};
  const Result<Config> config = given == nullptr ? Result<Config>(parent.config()) : effective_config(given, parent.config().device);
  if (!config.ok()) return config.status();
  Result<std::unique_ptr<Communicator>> child = tutti::split(parent, color, key, config.value());
  if (!child.ok()) return child.status();
  if (*child != nullptr) *newcomm = make_handle(std::move(*child));
  return {};
}

// The handle goes; what it leads to is still in use, and stays for good.
void abandon(tuttiComm_t comm) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<Communicator>>;  // never destroyed; guarded by mutex
  comm->magic.store(0, std::memory_order_relaxed);
  {
    std::lock_guard lock(mutex);
    kept->push_back(std::move(comm->comm));
  }
  delete comm;
}

Status release(tuttiComm_t comm) {
  if (Status settled = comm->comm->settle(); !settled.ok()) {
    abandon(comm);
    return {Code::kSystem, settled.message() + ": the communicator's memory is not freed"};
  }
  comm->magic.store(0, std::memory_order_relaxed);
  delete comm;
  return {};
}

Status abort(tuttiComm_t comm) {
  if (comm->comm->abort()) return release(comm);
  // A thread is still inside, in somebody else's code perhaps: what it uses must stay.
  abandon(comm);
  return {Code::kSystem, "a thread did not leave its call within 10 s: the communicator's memory is not freed"};
}

// The stream behind a handle. Errors: kInvalidArgument.
Result<HostStream*> live_stream(tuttiStream_t stream) {
  if (HostStream* const found = HostStream::find(stream)) return found;
  return bad_argument("stream is no live stream: give one from tuttiStreamCreate");
}

template <class Body>
tuttiResult_t guarded_stream(const char* name, tuttiStream_t stream, const Body& body) {
  return guarded(name, nullptr, [&]() -> Status {
    const Result<HostStream*> found = live_stream(stream);
    if (!found.ok()) return found.status();
    return body(*found.value());
  });
}

}  // namespace

tuttiResult_t refuse_in_group(tuttiResult_t result) {
  if (result != tuttiSuccess && Group::any_open()) Group::of_this_thread().refuse({static_cast<Code>(result), thread_error()});
  return result;
}

std::string& thread_error() {
  thread_local std::string error;
  return error;
}

Status check_handle(tuttiComm_t comm) {
  if (comm == nullptr) return bad_argument("comm is NULL: was its init successful, or GroupEnd not called yet?");
  if (comm->magic.load(std::memory_order_relaxed) != tuttiComm::kMagic)
    return bad_argument("comm is no live communicator: it was destroyed or never made");
  return {};
}

}  // namespace tutti

extern "C" {

tuttiResult_t tuttiGetVersion(int* version) {
  return guarded("tuttiGetVersion", nullptr, [&]() -> Status {
    if (version == nullptr) return bad_argument("version is NULL");
    *version = TUTTI_VERSION_CODE;
    return {};
  });
}

const char* tuttiGetErrorString(tuttiResult_t result) {
  switch (result) {
    case tuttiSuccess: return "success";
    case tuttiSystemError: return "system error";
    case tuttiInternalError: return "internal error";
    case tuttiInvalidArgument: return "invalid argument";
    case tuttiInvalidUsage: return "invalid usage";
    case tuttiRemoteError: return "remote error";
    case tuttiInProgress: return "in progress";
    case tuttiTimeout: return "timeout";
    case tuttiAborted: return "aborted";
  }
  return "unknown result code";
}

const char* tuttiGetLastError(tuttiComm_t comm) {
  try {
    thread_local std::string text;
    text = comm != nullptr && check_handle(comm).ok() ? comm->comm->last_error() : thread_error();
    return text.c_str();
  } catch (...) {
    return "out of memory";
  }
}

tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* id) {
  return guarded("tuttiGetUniqueId", nullptr, [&]() -> Status {
    if (id == nullptr) return bad_argument("id is NULL");
    const Result<RendezvousId> opened = open_rendezvous();
    if (!opened.ok()) return opened.status();
    *id = encode_id(opened.value());
    return {};
  });
}

tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId id, int rank) {
  return refuse_in_group(guarded("tuttiCommInitRank", nullptr, [&] { return init_rank(comm, nranks, id, rank, nullptr); }));
}

tuttiResult_t tuttiCommInitRankConfig(tuttiComm_t* comm, int nranks, tuttiUniqueId id, int rank, const tuttiConfig_t* config) {
  return refuse_in_group(guarded("tuttiCommInitRankConfig", nullptr, [&] { return init_rank(comm, nranks, id, rank, config); }));
}

tuttiResult_t tuttiCommInitAll(tuttiComm_t* comms, int ndev, const int* devlist) {
  return refuse_in_group(guarded("tuttiCommInitAll", nullptr, [&] { return init_all(comms, ndev, devlist); }));
}

tuttiResult_t tuttiCommInitFromEnv(tuttiComm_t* comm, const tuttiConfig_t* config) {
  return refuse_in_group(guarded("tuttiCommInitFromEnv", nullptr, [&] { return init_from_env(comm, config); }));
}

tuttiResult_t tuttiCommSplit(tuttiComm_t comm, int color, int key, tuttiComm_t* newcomm, const tuttiConfig_t* config) {
  return refuse_in_group(
      guarded_on("tuttiCommSplit", comm, [&](Communicator& parent) { return split(parent, color, key, newcomm, config); }));
}

tuttiResult_t tuttiCommFinalize(tuttiComm_t comm) {
  return guarded_on("tuttiCommFinalize", comm, [](Communicator& c) { return c.finalize(); });
}

tuttiResult_t tuttiCommDestroy(tuttiComm_t comm) {
  if (comm == nullptr) return tuttiSuccess;
  return guarded("tuttiCommDestroy", nullptr, [&]() -> Status {
    if (Status status = check_handle(comm); !status.ok()) return status;
    comm->comm->drain();
    return release(comm);
  });
}

tuttiResult_t tuttiCommAbort(tuttiComm_t comm) {
  if (comm == nullptr) return tuttiSuccess;
  return guarded("tuttiCommAbort", nullptr, [&]() -> Status {
    if (Status status = check_handle(comm); !status.ok()) return status;
    return tutti::abort(comm);
  });
}

tuttiResult_t tuttiCommGetAsyncError(tuttiComm_t comm, tuttiResult_t* result) {
  return guarded_on("tuttiCommGetAsyncError", comm, [&](Communicator& c) -> Status {
    if (result == nullptr) return bad_argument("result is NULL");
    *result = static_cast<tuttiResult_t>(c.async_error());
    return {};
  });
}

tuttiResult_t tuttiCommMemStats(tuttiComm_t comm, tuttiMemStat_t stat, uint64_t* value) {
  const int which = stat;  // a C program may pass what the enumeration does not have
  return guarded_on("tuttiCommMemStats", comm, [&](Communicator& c) -> Status {
    if (value == nullptr) return bad_argument("value is NULL");
    const MemoryUse memory = c.memory();
    switch (which) {
      case tuttiMemTotal: *value = memory.connections + memory.scratch; return {};
      case tuttiMemConnections: *value = memory.connections; return {};
      case tuttiMemScratch: *value = memory.scratch; return {};
      case tuttiMemBudget: *value = memory.budget; return {};
      default: return bad_argument("stat is " + std::to_string(which) + ": give one of tuttiMemTotal .. tuttiMemBudget");
    }
  });
}

tuttiResult_t tuttiCommCount(tuttiComm_t comm, int* count) {
  return guarded_on("tuttiCommCount", comm, [&](Communicator& c) -> Status {
    if (count == nullptr) return bad_argument("count is NULL");
    *count = c.nranks();
    return {};
  });
}

tuttiResult_t tuttiCommUserRank(tuttiComm_t comm, int* rank) {
  return guarded_on("tuttiCommUserRank", comm, [&](Communicator& c) -> Status {
    if (rank == nullptr) return bad_argument("rank is NULL");
    *rank = c.rank();
    return {};
  });
}

tuttiResult_t tuttiStreamCreate(tuttiStream_t* stream) {
  return guarded("tuttiStreamCreate", nullptr, [&]() -> Status {
    if (stream == nullptr) return bad_argument("stream is NULL: give the address of a tuttiStream_t");
    *stream = nullptr;
    const Result<HostStream*> made = HostStream::create();
    if (!made.ok()) return made.status();
    *stream = made.value();
    return {};
  });
}

tuttiResult_t tuttiStreamSynchronize(tuttiStream_t stream) {
  return guarded_stream("tuttiStreamSynchronize", stream, [](HostStream& s) { return s.synchronize(); });
}

tuttiResult_t tuttiStreamQuery(tuttiStream_t stream) {
  bool idle = false;
  const tuttiResult_t result = guarded_stream("tuttiStreamQuery", stream, [&](HostStream& s) -> Status {
    idle = s.idle();
    return {};
  });
  return result == tuttiSuccess && !idle ? tuttiInProgress : result;
}

tuttiResult_t tuttiStreamAddCallback(tuttiStream_t stream, tuttiStreamCallback_t callback, void* context) {
  return guarded_stream("tuttiStreamAddCallback", stream, [&](HostStream& s) -> Status {
    if (callback == nullptr) return bad_argument("callback is NULL");
    s.enqueue([callback, context]() -> Status {
      callback(context);
      return {};
    });
    return {};
  });
}

tuttiResult_t tuttiStreamDestroy(tuttiStream_t stream) {
  if (stream == nullptr) return tuttiSuccess;
  return guarded_stream("tuttiStreamDestroy", stream, [](HostStream& s) -> Status {
    HostStream::destroy(&s);
    return {};
  });
}

tuttiResult_t tuttiGroupStart(void) {
  Group::of_this_thread().start();
  return tuttiSuccess;
}

tuttiResult_t tuttiGroupEnd(void) {
  return guarded("tuttiGroupEnd", nullptr, [] { return Group::of_this_thread().end(); });
}

}  // extern "C"
