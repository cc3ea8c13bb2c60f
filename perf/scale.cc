// tutti-scale: what a communicator of n ranks costs on this machine, for growing n: the time to make it, of a first and of further calls,
// and to end it, and what each rank holds meanwhile: memory (shared memory counted once), descriptors, threads. Uses the public API only.
//
// Each n is a job of its own: n forked ranks, which go from phase to phase together (fork, init, first call, further calls, end) and sleep
// in between, so that one phase's stragglers do not burden the next. The parent takes the samples and calls nothing of the library. A phase
// lasts from its gate to its slowest rank. Memory: what /proc says of all ranks' own pages (Pss without shared memory) and, of
// every memfd that they hold, each once, what is allocated: also pages that nobody has touched yet. What the kernel holds for sockets is
// not in it; "system" is what the machine's available memory lost since the fork, with everything in it, and what others did meanwhile.
// Every result is verified. Exit status: 0, 1 (a rank failed, wrong data, or over a --most), 2 bad usage.
// Threads: one a process. A rank that fails is noticed by its parent, who ends the others.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "collective.h"

namespace perf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostRanks = 1024;

enum Phase { kInit, kFirst, kFurther, kEnd, kPhases };

struct Options {
  const Collective* collective = nullptr;
  std::vector<int> ranks = {2, 4, 8, 16, 32, 64, 128, 256};
  size_t bytes = 8;
  int iterations = 3;
  int rounds = 1;       // jobs for each n, of which the fastest is shown, with the most memory of all
  double most_MiB = 0;  // 0: no bound
  double most_shared_MiB = 0;
  int most_descriptors = 0;
  double most_s = 0;
  double patience_s = 300;
};

struct Spent {
  double cpu_s = 0;
  double switches = 0;
};

// What a rank tells its parent of a phase: written before it is counted as done.
struct RankReport {
  double end_s[kPhases];
  Spent spent[kPhases];
  int descriptors;
  int threads;
};

// Shared with the ranks. `done` counts ranks that have ended a phase, over all phases; release by the ranks, acquire by the parent.
struct Shared {
  std::atomic<int> done{0};
  tuttiUniqueId id;
  std::atomic<int> have_id{0};  // release by rank 0, acquire by the others
  RankReport reports[kMostRanks];
};

double now_s() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

Spent spent_so_far() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw)};
}

template <class Visit>
void for_each_entry(const std::string& folder, const Visit& visit) {
  DIR* const dir = opendir(folder.c_str());
  if (dir == nullptr) return;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') visit(folder + "/" + entry->d_name);
  }
  closedir(dir);
}

int count_entries(const char* folder) {
  int count = 0;
  for_each_entry(folder, [&](const std::string&) { ++count; });
  return count;
}

// --- one rank ---

constexpr size_t kPeriod = 13;  // of the elements by index: what is expected costs a look-up

float element(int source, size_t index) {
  return static_cast<float>((static_cast<size_t>(source) * 3 + index) % kPeriod);  // sums of 1024 are exact
}

// The first kPeriod elements of a source, or of the sum of all ranks' inputs.
std::array<float, kPeriod> expected_elements(int source, int ranks) {
  std::array<float, kPeriod> expected = {};
  for (size_t i = 0; i < kPeriod; ++i) {
    if (source >= 0) expected[i] = element(source, i);
    for (int rank = 0; source < 0 && rank < ranks; ++rank) expected[i] += element(rank, i);
  }
  return expected;
}

class Rank {
 public:
  Rank(const Options& options, Shared& shared, int rank, int ranks, const int (&gates)[kPhases])
      : options_(options), shared_(shared), report_(shared.reports[rank]), rank_(rank), ranks_(ranks), gates_(gates) {}

  int run() {
    const size_t elems = options_.collective->shape(options_.bytes, sizeof(float), ranks_).count;
    pass(kInit, [&] {
      if (rank_ == 0) {
        must(tuttiGetUniqueId(&shared_.id), "tuttiGetUniqueId");
        shared_.have_id.store(1, std::memory_order_release);
      }
      while (shared_.have_id.load(std::memory_order_acquire) == 0) usleep(200);
      must(tuttiCommInitRank(&comm_, ranks_, shared_.id, rank_), "tuttiCommInitRank");
    });
    pass(kFirst, [&] { call(elems, 0); });
    pass(kFurther, [&] {
      for (int i = 1; i <= options_.iterations; ++i) call(elems, i);
    });
    pass(kEnd, [&] {
      must(tuttiCommFinalize(comm_), "tuttiCommFinalize");
      must(tuttiCommDestroy(comm_), "tuttiCommDestroy");
    });
    return 0;
  }

 private:
  template <class Work>
  void pass(Phase phase, const Work& work) {
    char go = 0;
    if (read(gates_[phase], &go, 1) != 1) _exit(1);
    const Spent before = spent_so_far();
    work();
    const Spent after = spent_so_far();
    report_.end_s[phase] = now_s();
    report_.spent[phase] = {after.cpu_s - before.cpu_s, after.switches - before.switches};
    report_.descriptors = count_entries("/proc/self/fd") - 1;  // without the folder's own
    report_.threads = count_entries("/proc/self/task");
    shared_.done.fetch_add(1, std::memory_order_release);
  }

  void must(tuttiResult_t result, const char* what) {
    if (result == tuttiSuccess) return;
    std::fprintf(stderr, "tutti-scale: rank %d of %d: %s: %s: %s\n", rank_, ranks_, what, tuttiGetErrorString(result),
                 tuttiGetLastError(comm_));
    _exit(1);
  }

  void call(size_t elems, int iteration) {
    const Place place{.rank = rank_, .ranks = ranks_, .root = iteration % ranks_};
    Layout layout = options_.collective->layout(elems, place);
    send_.resize(std::max<size_t>(1, layout.send_elems));
    recv_.assign(std::max<size_t>(1, layout.recv_elems), -1.0f);
    for (size_t i = 0; i < layout.send_elems; ++i) send_[i] = element(rank_, i);
    const std::vector<Expectation> expected = layout.expected;
    must(options_.collective->call({.send = layout.send_elems == 0 ? nullptr : send_.data(),
                                    .recv = layout.recv_elems == 0 ? nullptr : recv_.data(),
                                    .count = elems,
                                    .type = tuttiFloat32,
                                    .op = tuttiSum,
                                    .place = place,
                                    .in_place = false,
                                    .layout = std::move(layout),
                                    .comm = comm_}),
         "the call");
    for (const Expectation& expectation : expected) {
      const std::array<float, kPeriod> pattern = expected_elements(expectation.source, ranks_);
      for (size_t i = 0; i < expectation.elems; ++i) {
        const float want = pattern[(expectation.first_index + i) % kPeriod], got = recv_[expectation.offset + i];
        if (want == got) continue;
        std::fprintf(stderr, "tutti-scale: rank %d of %d: wrong data: element %zu is %g, not %g\n", rank_, ranks_, expectation.offset + i,
                     static_cast<double>(got), static_cast<double>(want));
        _exit(1);
      }
    }
  }

  const Options& options_;
  Shared& shared_;
  RankReport& report_;
  const int rank_;
  const int ranks_;
  const int (&gates_)[kPhases];
  tuttiComm_t comm_ = nullptr;
  std::vector<float> send_, recv_;
};

// --- the parent ---

struct Memory {
  double own_MiB = 0;     // all ranks' together
  double shared_MiB = 0;  // allocated in their memfds
};

// A field of /proc/PID/smaps_rollup in KiB; -1 where it cannot be read.
double rollup_kib(const std::string& text, const std::string& field) {
  const size_t at = text.find("\n" + field + ":");
  return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + field.size() + 2, nullptr);
}

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Memory sample(const std::vector<pid_t>& ranks) {
  Memory memory;
  std::set<ino_t> seen;
  for (const pid_t pid : ranks) {
    const std::string proc = "/proc/" + std::to_string(pid);
    const std::string rollup = slurp(proc + "/smaps_rollup");
    const double pss = rollup_kib(rollup, "Pss"), shmem = rollup_kib(rollup, "Pss_Shmem");
    if (pss < 0 || shmem < 0) {
      std::fprintf(stderr, "tutti-scale: %s/smaps_rollup has no Pss and Pss_Shmem: this needs Linux 5.4 or later\n", proc.c_str());
      std::exit(1);
    }
    memory.own_MiB += (pss - shmem) / 1024;
    for_each_entry(proc + "/fd", [&](const std::string& fd) {
      char target[64] = {};
      if (readlink(fd.c_str(), target, sizeof target - 1) < 0 || std::strncmp(target, "/memfd:", 7) != 0) return;
      struct stat status = {};
      if (stat(fd.c_str(), &status) != 0 || !seen.insert(status.st_ino).second) return;
      memory.shared_MiB += static_cast<double>(status.st_blocks) * 512 / (1 << 20);
    });
  }
  return memory;
}

double available_MiB() {
  const std::string info = slurp("/proc/meminfo");
  return rollup_kib(info, "MemAvailable") / 1024;
}

// What is shown of a job.
struct Row {
  double init_s = 0, first_s = 0, each_ms = 0, end_s = 0, total_s = 0;
  double own_MiB = 0, shared_MiB = 0, at_init_MiB = 0, system_MiB = 0;            // a rank
  int descriptors = 0, threads = 0;                                               // of the rank with most
  double init_cpu_s = 0, first_cpu_s = 0, first_switches = 0, each_switches = 0;  // of all ranks

  double MiB() const { return own_MiB + shared_MiB; }
  double spent_s() const { return init_s + first_s + end_s; }
};

class Job {
 public:
  Job(const Options& options, int ranks) : options_(options), n_(ranks) {}

  // Nothing: something went wrong, and was said.
  std::optional<Row> run();

 private:
  bool start();
  bool pass(Phase phase);
  bool wait_for_ranks();
  bool failed(const char* what);
  double sum(Phase phase, double Spent::*of) const;
  void sample_before_end();

  const Options& options_;
  const int n_;
  Shared* shared_ = nullptr;
  int gates_[kPhases][2];
  std::vector<pid_t> children_;
  double begun_s_ = 0;
  double took_s_[kPhases] = {};
  double available_before_ = 0;
  Row row_;
};

bool Job::failed(const char* what) {
  std::fprintf(stderr, "tutti-scale: %d ranks: %s\n", n_, what);
  for (const pid_t child : children_) kill(child, SIGKILL);
  while (waitpid(-1, nullptr, 0) > 0) {
  }
  return false;
}

bool Job::start() {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return failed("cannot map memory that the ranks share");
  shared_ = new (memory) Shared;
  for (auto& gate : gates_) {
    if (pipe(gate) != 0) return failed("cannot create a pipe");
  }
  available_before_ = available_MiB();
  std::fflush(nullptr);
  begun_s_ = now_s();
  const pid_t parent = getpid();
  for (int rank = 0; rank < n_; ++rank) {
    const pid_t child = fork();
    if (child < 0) return failed("cannot fork so many ranks");
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      int gates[kPhases];
      for (int phase = 0; phase < kPhases; ++phase) {
        gates[phase] = gates_[phase][0];
        close(gates_[phase][1]);
      }
      _exit(Rank(options_, *shared_, rank, n_, gates).run());
    }
    children_.push_back(child);
  }
  return true;
}

// Opens a phase's gate and waits for its slowest rank.
bool Job::pass(Phase phase) {
  const double opened_s = now_s();
  const std::string tokens(static_cast<size_t>(n_), 'x');
  if (write(gates_[phase][1], tokens.data(), tokens.size()) != static_cast<ssize_t>(tokens.size())) return failed("cannot open a gate");
  const int wanted = n_ * (phase + 1);
  while (shared_->done.load(std::memory_order_acquire) < wanted) {
    int status = 0;
    const pid_t gone = waitpid(-1, &status, WNOHANG);
    if (gone > 0 && (phase != kEnd || status != 0)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));  // the others have their say
      return failed("a rank has failed: see above");
    }
    if (gone > 0) continue;
    if (now_s() - opened_s > options_.patience_s) return failed("a phase has not ended in time (--patience)");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (int rank = 0; rank < n_; ++rank) took_s_[phase] = std::max(took_s_[phase], shared_->reports[rank].end_s[phase] - opened_s);
  return true;
}

bool Job::wait_for_ranks() {
  int status = 0;
  while (waitpid(-1, &status, 0) > 0) {
    if (status != 0) return failed("a rank has failed at its end: see above");
  }
  row_.total_s = now_s() - begun_s_;
  for (auto& gate : gates_) close(gate[0]), close(gate[1]);
  return true;
}

double Job::sum(Phase phase, double Spent::*of) const {
  double total = 0;
  for (int rank = 0; rank < n_; ++rank) total += shared_->reports[rank].spent[phase].*of;
  return total;
}

void Job::sample_before_end() {
  const Memory memory = sample(children_);
  row_.own_MiB = memory.own_MiB / n_;
  row_.shared_MiB = memory.shared_MiB / n_;
  row_.system_MiB = (available_before_ - available_MiB()) / n_;
  for (int rank = 0; rank < n_; ++rank) {
    row_.descriptors = std::max(row_.descriptors, shared_->reports[rank].descriptors);
    row_.threads = std::max(row_.threads, shared_->reports[rank].threads);
  }
}

std::optional<Row> Job::run() {
  if (!start() || !pass(kInit)) return {};
  const Memory after_init = sample(children_);
  row_.at_init_MiB = (after_init.own_MiB + after_init.shared_MiB) / n_;
  if (!pass(kFirst) || !pass(kFurther)) return {};
  sample_before_end();
  if (!pass(kEnd) || !wait_for_ranks()) return {};
  row_.init_s = took_s_[kInit];
  row_.first_s = took_s_[kFirst];
  row_.end_s = took_s_[kEnd];
  row_.init_cpu_s = sum(kInit, &Spent::cpu_s);
  row_.first_cpu_s = sum(kFirst, &Spent::cpu_s);
  row_.first_switches = sum(kFirst, &Spent::switches);
  if (options_.iterations != 0) {
    row_.each_ms = 1e3 * took_s_[kFurther] / options_.iterations;
    row_.each_switches = sum(kFurther, &Spent::switches) / options_.iterations;
  }
  munmap(shared_, sizeof(Shared));
  return row_;
}

void print(int ranks, const Row& row) {
  std::printf("%6d %8.3f %8.3f %9.3f %8.3f %8.3f %8.2f %8.2f %8.2f %8.2f %8.2f %6d %7d %9.2f %9.2f %11.0f %9.1f\n", ranks, row.init_s,
              row.first_s, row.each_ms, row.end_s, row.total_s, row.MiB(), row.own_MiB, row.shared_MiB, row.at_init_MiB, row.system_MiB,
              row.descriptors, row.threads, row.init_cpu_s, row.first_cpu_s, row.first_switches, row.each_switches);
  std::fflush(stdout);
}

bool within_bounds(const Options& options, int ranks, const Row& row) {
  bool within = true;
  const auto bound = [&](double most, double is, const char* what) {
    if (most <= 0 || is <= most) return;
    std::fprintf(stderr, "tutti-scale: %d ranks: %g %s, over the bound of %g\n", ranks, is, what, most);
    within = false;
  };
  bound(options.most_MiB, row.MiB(), "MiB a rank");
  bound(options.most_shared_MiB, row.shared_MiB, "MiB of shared memory a rank");
  bound(options.most_descriptors, row.descriptors, "descriptors of one rank");
  bound(options.most_s, row.spent_s(), "s for init, first call and end");
  return within;
}

// The fastest of the rounds, with the most memory, descriptors and threads of all.
bool measure(const Options& options, int ranks) {
  std::optional<Row> best;
  Row most;
  for (int round = 0; round < options.rounds; ++round) {
    const std::optional<Row> row = Job(options, ranks).run();
    if (!row) return false;
    if (most.MiB() < row->MiB()) most.own_MiB = row->own_MiB, most.shared_MiB = row->shared_MiB;
    most.at_init_MiB = std::max(most.at_init_MiB, row->at_init_MiB);
    most.system_MiB = std::max(most.system_MiB, row->system_MiB);
    most.descriptors = std::max(most.descriptors, row->descriptors);
    most.threads = std::max(most.threads, row->threads);
    if (!best || row->spent_s() < best->spent_s()) best = row;
  }
  best->own_MiB = most.own_MiB;
  best->shared_MiB = most.shared_MiB;
  best->at_init_MiB = most.at_init_MiB;
  best->system_MiB = most.system_MiB;
  best->descriptors = most.descriptors;
  best->threads = most.threads;
  print(ranks, *best);
  return within_bounds(options, ranks, *best);
}

const Collective* find_collective(const std::string& name) {
  for (const Collective& each : collectives()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

int run(int argc, char** argv) {
  Options options;
  std::string collective = "all_reduce";
  CLI::App app("what a communicator of n ranks costs on this machine: time, memory, descriptors");
  app.add_option("collective", collective, "which collective is called")->capture_default_str();
  app.add_option("-n,--ranks", options.ranks, "numbers of ranks, comma-separated")->delimiter(',')->check(CLI::Range(1, kMostRanks));
  app.add_option("-b,--bytes", options.bytes, "bytes as nccl-tests counts them; suffixes K, M")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("-i,--iterations", options.iterations, "calls after the first; roots rotate")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "jobs for each n: the fastest is shown, with the most memory of all")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--most-shared-MiB", options.most_shared_MiB, "fail if a rank holds more shared memory than this in the mean");
  app.add_option("--most-MiB", options.most_MiB, "fail if a rank holds more memory than this in the mean");
  app.add_option("--most-descriptors", options.most_descriptors, "fail if a rank holds more than this");
  app.add_option("--most-s", options.most_s, "fail if init, first call and end take longer together");
  app.add_option("--patience", options.patience_s, "seconds for one phase")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.collective = find_collective(collective);
  if (options.collective == nullptr) {
    std::fprintf(stderr, "tutti-scale: there is no collective '%s'\n", collective.c_str());
    return 2;
  }
  double load = 0;
  getloadavg(&load, 1);
  std::printf("# tutti-scale: %s of %zu B, float32; %ld cores, load %.2f at the start; the fastest of %d rounds, the most memory of all\n",
              collective.c_str(), options.bytes, sysconf(_SC_NPROCESSORS_ONLN), load, options.rounds);
  std::printf("# init, first call, end, total: s, total with what the samples take; each: ms, of %d further calls\n", options.iterations);
  std::printf("# MiB a rank: all, own, shared, all after init, what the machine has less; fds, threads: of the rank with most\n");
  std::printf("# cpu, sw: seconds and context switches of all ranks in init, the first call, each further call\n");
  std::printf("%6s %8s %8s %9s %8s %8s %8s %8s %8s %8s %8s %6s %7s %9s %9s %11s %9s\n", "ranks", "init", "first", "each_ms", "end", "total",
              "MiB", "own", "shared", "at_init", "system", "fds", "threads", "cpu_init", "cpu_first", "sw_first", "sw_each");
  for (const int n : options.ranks) {
    if (!measure(options, n)) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace perf

int main(int argc, char** argv) {
  return perf::run(argc, argv);
}
