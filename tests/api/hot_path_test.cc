// What a repeated call costs: no allocation, no planning (which allocates), and no system call where nobody has to wait. Each test runs in
// a child, and each has a control that shows that it would notice.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/api/count_allocations.h"
#include "tests/api/trap_system_calls.h"
#include "tests/support/api_fork.h"
#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

constexpr int kRepetitions = 1000;
constexpr size_t kCounts[] = {2, 1024, 16 * 1024, 256 * 1024};  // 8 B, 4 KiB, 64 KiB, 1 MiB
constexpr size_t kMost = 256 * 1024;

// What the calling thread allocates in `body`.
template <class Body>
size_t allocations_in(const Body& body) {
  const size_t before = allocations_of_this_thread();
  body();
  return allocations_of_this_thread() - before;
}

// One thread drives every rank: then nobody ever waits for anybody.
struct OneThread {
  explicit OneThread(int nranks) : ranks(nranks), in(static_cast<size_t>(nranks), std::vector<float>(kMost, 1.0F)), out(in) {}

  tuttiResult_t run(size_t count) {
    if (in.size() == 1) return all_reduce(in[0].data(), out[0].data(), count, ranks[0]);
    if (const tuttiResult_t result = tuttiGroupStart(); result != tuttiSuccess) return result;
    for (size_t rank = 0; rank < in.size(); ++rank) {
      const tuttiResult_t result = all_reduce(in[rank].data(), out[rank].data(), count, ranks[static_cast<int>(rank)]);
      if (result != tuttiSuccess) return result;
    }
    return tuttiGroupEnd();
  }

  // All sizes, so that every program there is has been made and bound. In place too.
  void warm_up() {
    for (const size_t count : kCounts) ASSERT_EQ(run(count), tuttiSuccess) << tuttiGetLastError(nullptr);
  }

  // The failures of `repetitions` calls of every size.
  int repeat(int repetitions) {
    int failures = 0;
    for (int i = 0; i < repetitions; ++i) {
      for (const size_t count : kCounts)
        failures += run(count) == tuttiSuccess && out[0][count - 1] == static_cast<float>(in.size()) ? 0 : 1;
    }
    return failures;
  }

  ApiRanks ranks;
  std::vector<std::vector<float>> in, out;
};

class Allocations : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kCanCountAllocations) GTEST_SKIP() << "a sanitizer has its own malloc: allocations cannot be counted in this build";
  }
};

TEST_F(Allocations, AreCountedWhereThereAreSome) {
  EXPECT_EQ(allocations_in([] {}), 0u);
  void* volatile p = nullptr;  // volatile: a compiler may leave out what nobody looks at
  const auto counted = [&](const auto& allocate) { return allocations_in([&] { p = allocate(); }); };
  EXPECT_EQ(counted([] { return std::malloc(8); }), 1u);
  std::free(p);
  EXPECT_EQ(counted([] { return std::calloc(2, 8); }), 1u);
  std::free(p);
  EXPECT_EQ(counted([] { return std::aligned_alloc(64, 64); }), 1u);
  std::free(p);
  EXPECT_EQ(counted([] { return ::operator new(8); }), 1u);
  ::operator delete(p);
  in_child([] {
    OneThread one(2);
    EXPECT_GT(allocations_in([&] { one.warm_up(); }), 0u) << "the first call plans and connects: that allocates";
  });
}

TEST_F(Allocations, ARepeatedCallMakesNone) {
  for (const int n : {1, 2, 3}) {
    in_child([n] {
      OneThread one(n);
      one.warm_up();
      int failures = -1;
      EXPECT_EQ(allocations_in([&] { failures = one.repeat(kRepetitions); }), 0u) << n << " ranks";
      EXPECT_EQ(failures, 0);
    });
  }
}

// Another count of a known range needs no new program.
TEST_F(Allocations, AnotherCountMakesNone) {
  in_child([] {
    OneThread one(2);
    one.warm_up();
    EXPECT_EQ(allocations_in([&] {
                for (size_t count = 1; count < 1024; ++count) one.run(count);
                for (size_t count = 100 * 1024; count < 200 * 1024; count += 999) one.run(count);
              }),
              0u);
  });
}

// Waiting for a peer allocates nothing either.
TEST_F(Allocations, RanksOnThreadsOfTheirOwnMakeNone) {
  in_child([] {
    ApiRanks ranks(2);
    ranks.each([](int rank, tuttiComm_t comm) {
      std::vector<float> in(kMost, static_cast<float>(rank)), out(kMost);
      for (const size_t count : kCounts) ASSERT_EQ(all_reduce(in.data(), out.data(), count, comm), tuttiSuccess);
      int failures = 0;
      EXPECT_EQ(allocations_in([&] {
                  for (int i = 0; i < kRepetitions / 4; ++i) {
                    for (const size_t count : kCounts) failures += all_reduce(in.data(), out.data(), count, comm) == tuttiSuccess ? 0 : 1;
                  }
                }),
                0u)
          << "rank " << rank;
      EXPECT_EQ(failures, 0);
    });
  });
}

// Counts the system calls of `body`, in a child that does nothing else: the count comes back through shared memory, since the child may
// not even print afterwards.
struct Trapped {
  bool possible;
  int failures;
  int calls;
  int first;
};

template <class Prepare>
Trapped trap_in_child(const Prepare& prepare) {
  auto* const shared = static_cast<Trapped*>(mmap(nullptr, sizeof(Trapped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  EXPECT_NE(shared, MAP_FAILED);
  const pid_t child = fork_child([&] {
    prepare([&](const auto& body) {
      std::fflush(nullptr);
      shared->possible = trap_system_calls();
      if (!shared->possible) _exit(0);
      shared->failures = body();
      shared->calls = trapped_system_calls();
      shared->first = first_trapped_system_call();
      _exit(0);
    });
  });
  EXPECT_TRUE(ended_well(wait_for(child)));
  const Trapped result = *shared;
  munmap(shared, sizeof(Trapped));
  return result;
}

void skip_where_impossible() {
  if (!kCanTrapSystemCalls) GTEST_SKIP() << "a sanitizer makes system calls of its own: they cannot be counted in this build";
}

class SystemCallTrap : public ::testing::Test {
 protected:
  void SetUp() override { skip_where_impossible(); }
};

class SystemCalls : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { skip_where_impossible(); }
};

TEST_F(SystemCallTrap, CatchesOne) {
  const Trapped trapped = trap_in_child([](const auto& trap) {
    trap([] {
      const bool caught = syscall(SYS_getppid) == -1 && syscall(SYS_getpid) == -1;
      return caught ? 0 : 1;
    });
  });
  if (!trapped.possible) GTEST_SKIP() << "this kernel allows no seccomp filter here: system calls cannot be counted";
  EXPECT_EQ(trapped.failures, 0) << "the call was carried out";
  EXPECT_EQ(trapped.calls, 2);
}

// A first call makes connections: the trap has to catch that.
TEST_F(SystemCallTrap, CatchesAFirstCall) {
  const Trapped trapped = trap_in_child([](const auto& trap) {
    OneThread one(2);
    trap([&] { return one.repeat(1) == 0 ? 0 : 1; });
  });
  if (!trapped.possible) GTEST_SKIP() << "this kernel allows no seccomp filter here: system calls cannot be counted";
  EXPECT_GT(trapped.calls, 0);
}

TEST_P(SystemCalls, ARepeatedCallMakesNone) {
  const int nranks = GetParam();
  const Trapped trapped = trap_in_child([&](const auto& trap) {
    OneThread one(nranks);
    one.warm_up();
    trap([&] { return one.repeat(kRepetitions); });
  });
  if (!trapped.possible) GTEST_SKIP() << "this kernel allows no seccomp filter here: system calls cannot be counted";
  EXPECT_EQ(trapped.failures, 0);
  EXPECT_EQ(trapped.calls, 0) << "the first was number " << trapped.first;
}

INSTANTIATE_TEST_SUITE_P(Ranks, SystemCalls, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace tutti
