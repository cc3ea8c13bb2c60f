// Open MPI's mpirun, prterun and srun --mpi=pmix: libpmix, loaded at run time. Rank 0 puts the unique id, everybody passes the fence, the
// others get it.
//
// Of libpmix's ABI only what has not changed since version 2 (the soname is libpmix.so.2 ever since) is used, and declared here: a
// process's name, and a value that is a string or a number, whose data stand 8 bytes behind its type. PMIx_Init counts its calls. Where an
// MPI library is loaded our reference is given back at exit: taken back at once it might be the last, and libpmix does not promise to start
// a second time. Where none is, at once, so that the launcher takes no later end of ours amiss.
//
// Threading: the exchange runs on a thread of its own, because none of its calls takes a bound that all launchers heed. A thread that
// does not come back in time is left behind with what it uses.
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "launch/deadline.h"
#include "launch/launcher.h"
#include "launch/mpi_library.h"
#include "launch/unique_id_text.h"

namespace tutti {
namespace {

struct Process {
  char space[256];
  uint32_t rank;
};

struct Value {
  uint16_t type;
  alignas(8) union {
    char* string;
    uint32_t number;
    char room[56];  // more than any version's largest member, by value
  } data;
};

constexpr uint16_t kString = 3;
constexpr uint16_t kUint32 = 14;
constexpr uint8_t kGlobal = 3;                  // whom a value is put for: everybody
constexpr uint32_t kWholeJob = UINT32_MAX - 1;  // PMIX_RANK_WILDCARD
constexpr const char* kKey = "tutti.id";

struct Library {
  int (*init)(Process*, void* info, size_t ninfo);
  int (*finalize)(const void* info, size_t ninfo);
  int (*put)(uint8_t scope, const char* key, Value*);
  int (*commit)();
  int (*fence)(const Process*, size_t, const void* info, size_t ninfo);
  int (*get)(const Process*, const char* key, const void* info, size_t ninfo, Value**);
  const char* (*error_text)(int);
};

bool present(const Environment& environment, const Config&) {
  return environment.says("PMIX_RANK") || environment.says("OMPI_COMM_WORLD_RANK");
}

template <class Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

// Stays loaded: its threads and exit handlers may outlive every communicator.
Result<Library> load() {
  constexpr const char* kRemedy =
      ": install libpmix (Debian: libpmix2), add the folder of the launcher's own to LD_LIBRARY_PATH, or set TUTTI_RENDEZVOUS=host:port to "
      "meet without it";
  void* const handle = dlopen("libpmix.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* const why = dlerror();
    return Status(Code::kSystem, std::string("this job's launcher speaks PMIx (PMIX_RANK), but libpmix.so.2 cannot be loaded: ") +
                                     (why == nullptr ? "unknown" : why) + kRemedy);
  }
  Library library{};
  if (!find(handle, "PMIx_Init", library.init) || !find(handle, "PMIx_Finalize", library.finalize) ||
      !find(handle, "PMIx_Put", library.put) || !find(handle, "PMIx_Commit", library.commit) ||
      !find(handle, "PMIx_Fence", library.fence) || !find(handle, "PMIx_Get", library.get) ||
      !find(handle, "PMIx_Error_string", library.error_text)) {
    return Status(Code::kSystem, std::string("libpmix.so.2 lacks a function of PMIx 2") + kRemedy);
  }
  return library;
}

// One process's exchange, in the order of its calls.
class Session {
 public:
  explicit Session(const Library& library) : library_(library) {}

  Result<JobPlace> run(const Environment& environment) {
    if (Status status = check(library_.init(&self_, nullptr, 0), "PMIx_Init"); !status.ok()) return status;
    Result<JobPlace> place = exchange(environment);
    leave();
    return place;
  }

 private:
  Status check(int result, const char* call) const {
    if (result == 0) return {};
    return {Code::kRemote, std::string(call) + " failed: " + library_.error_text(result) +
                               ": is the launcher that set PMIX_RANK still running? TUTTI_RENDEZVOUS=host:port meets without it, "
                               "TUTTI_LAUNCHER=none makes a job of one"};
  }

  Result<JobPlace> exchange(const Environment& environment) {
    const Result<uint32_t> size = job_size();
    if (!size.ok()) return size.status();
    // Through the same check as every launcher's numbers.
    const Result<Numbers> numbers =
        read_numbers(Environment({{"PMIX_RANK", std::to_string(self_.rank)}, {"pmix.job.size", std::to_string(size.value())}}), "PMIX_RANK",
                     "pmix.job.size");
    if (!numbers.ok()) return numbers.status();
    if (environment.says("OMPI_COMM_WORLD_RANK") && environment.value("OMPI_COMM_WORLD_RANK") != std::to_string(self_.rank)) {
      return Status(Code::kInvalidUsage, "PMIx says rank " + std::to_string(self_.rank) +
                                             ", OMPI_COMM_WORLD_RANK=" + environment.value("OMPI_COMM_WORLD_RANK") +
                                             ": unset the variables of the launcher that did not start this program");
    }
    Result<RendezvousId> id = RendezvousId();
    if (self_.rank == 0) {
      id = open_rendezvous();
      if (!id.ok()) return id.status();
      if (Status status = publish(id_to_hex(*id)); !status.ok()) return status;
    }
    if (Status status = check(library_.fence(nullptr, 0, nullptr, 0), "PMIx_Fence"); !status.ok()) return status;
    if (self_.rank != 0) {
      id = fetch();
      if (!id.ok()) return id.status();
    }
    return JobPlace{numbers.value().rank, numbers.value().nranks, *id};
  }

  Result<uint32_t> job_size() const {
    Process job = self_;
    job.rank = kWholeJob;
    Value* value = nullptr;
    if (Status status = check(library_.get(&job, "pmix.job.size", nullptr, 0, &value), "PMIx_Get of the job's size"); !status.ok()) {
      return status;
    }
    const bool right = value != nullptr && value->type == kUint32;
    const uint32_t size = right ? value->data.number : 0;
    std::free(value);
    if (!right) return Status(Code::kRemote, "PMIx_Get of the job's size gave something else than a number");
    return size;
  }

  Status publish(std::string text) const {
    Value value{};
    value.type = kString;
    value.data.string = text.data();  // copied by PMIx_Put
    if (Status status = check(library_.put(kGlobal, kKey, &value), "PMIx_Put"); !status.ok()) return status;
    return check(library_.commit(), "PMIx_Commit");
  }

  Result<RendezvousId> fetch() const {
    Process first = self_;
    first.rank = 0;
    Value* value = nullptr;
    if (Status status = check(library_.get(&first, kKey, nullptr, 0, &value), "PMIx_Get of rank 0's unique id"); !status.ok())
      return status;
    if (value == nullptr || value->type != kString || value->data.string == nullptr) {
      return Status(Code::kRemote, "PMIx_Get of rank 0's unique id gave something else than a string");
    }
    Result<RendezvousId> id = id_from_hex(value->data.string);
    std::free(value->data.string);  // what the caller is given is malloc's, its macros in pmix.h say
    std::free(value);
    return id;
  }

  void leave() const {
    if (!mpi_library_loaded()) {
      library_.finalize(nullptr, 0);
      return;
    }
    static Library kept;
    static pid_t owner;
    kept = library_;
    owner = getpid();
    std::atexit([] {
      if (getpid() == owner) kept.finalize(nullptr, 0);  // a forked child is not the rank
    });
  }

  Library library_;
  Process self_{};
};

struct Outcome {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<JobPlace>> place;  // guarded by mutex
};

Result<JobPlace> join(const Environment& environment, const Config& config) {
  const Result<Library> library = load();
  if (!library.ok()) return library.status();
  const auto outcome = std::make_shared<Outcome>();  // shared with a thread that may be left behind
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the program's threads' business, not this one's or libpmix's
  std::thread worker([outcome, environment, calls = library.value()] {
    Result<JobPlace> place = Session(calls).run(environment);
    const std::lock_guard lock(outcome->mutex);
    outcome->place = std::move(place);
    outcome->changed.notify_all();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  const Deadline deadline(config.init_timeout_s);
  std::unique_lock lock(outcome->mutex);
  const auto done = [&] { return outcome->place.has_value(); };
  const bool in_time = deadline.at() ? outcome->changed.wait_until(lock, *deadline.at(), done) : (outcome->changed.wait(lock, done), true);
  if (!in_time) {
    worker.detach();
    return Status(Code::kTimeout,
                  "the launcher's exchange (PMIx) was not complete within " + deadline.text() +
                      ": do all ranks of the job call tuttiCommInitFromEnv? (TUTTI_INIT_TIMEOUT); TUTTI_RENDEZVOUS=host:port "
                      "meets without it");
  }
  lock.unlock();
  worker.join();
  return *outcome->place;
}

}  // namespace

const Launcher pmix_launcher = {.name = "pmix", .present = present, .join = join, .again = Again::kNever};

}  // namespace tutti
