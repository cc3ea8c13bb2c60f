// Shared memory on machines of other shapes: no memfd, no /dev/shm, a tiny one. And that nothing is left behind on any. Made with a
// private mount namespace, so these need root.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "tests/transports/traffic.h"
#include "transports/shm/segment.h"

namespace tutti {
namespace {

using shm::Backing;

const TransportFixture& kShm = kTransportsUnderTest[0];

void must(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

// The following change this process for good: call them in run_apart().

void enter_private_mounts() {
  must(unshare(CLONE_NEWNS) == 0, "unshare");
  must(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
}

void mount_tmpfs(const char* where, const char* options) {
  must(mount("tmpfs", where, "tmpfs", 0, options) == 0, where);
}

// An empty /dev has no shm.
void remove_dev_shm() {
  mount_tmpfs("/dev", "size=64k");
}

// As where a sandbox or an old kernel has none.
void forbid_memfd() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

void expect_traffic(int nranks) {
  expect_ends(run_ranks(Mode::kProcesses, nranks, [nranks](Meeting& meeting, int number) {
    TestRank rank(kShm, meeting, number, nranks);
    rank.open();
    Traffic(rank).exchange(200);
    rank.barrier();
  }));
}

class ShmWorlds : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!run_apart([] {
          if (unshare(CLONE_NEWNS) != 0) _exit(77);
        })) {
      GTEST_SKIP() << "a private mount namespace needs root";
    }
  }
};

TEST_F(ShmWorlds, WithoutDevShm) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    remove_dev_shm();
    ASSERT_FALSE(std::filesystem::exists("/dev/shm"));
    expect_traffic(3);
  }));
}

// A container's usual 64 MB, less than the 96 MB of these FIFOs.
TEST_F(ShmWorlds, WithASmallDevShm) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    mount_tmpfs("/dev/shm", "size=64m");
    const FifoShapes large = {.inlined = kTestShapes.inlined, .staged = {.slots = 4, .capacity = 4 << 20, .payload_offset = 64}};
    expect_ends(run_ranks(Mode::kProcesses, 3, [&](Meeting& meeting, int number) {
      TestRank rank(kShm, meeting, number, 3, large);
      rank.open();
      Traffic(rank).exchange(30);
      rank.barrier();
    }));
  }));
}

TEST_F(ShmWorlds, WithoutMemfd) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    mount_tmpfs("/dev/shm", "size=64m");
    forbid_memfd();
    ASSERT_FALSE(shm::create_segment(4096, Backing::kMemfd).ok());
    expect_traffic(3);
    EXPECT_TRUE(std::filesystem::is_empty("/dev/shm"));
  }));
}

TEST_F(ShmWorlds, WithoutMemfdAndDevShm) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    remove_dev_shm();
    mount_tmpfs("/tmp", "size=64m");
    forbid_memfd();
    ASSERT_FALSE(shm::create_segment(4096, Backing::kDevShm).ok());
    expect_traffic(3);
    EXPECT_TRUE(std::filesystem::is_empty("/tmp"));
  }));
}

TEST_F(ShmWorlds, WithNothingAtAllMakingOneIsAnErrorThatSaysWhatWasTried) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    remove_dev_shm();
    must(mount("tmpfs", "/tmp", "tmpfs", MS_RDONLY, "size=64k") == 0, "/tmp");
    forbid_memfd();
    const Status status = kShm.make(0, 2, kTestShapes, test_key()).status();
    EXPECT_EQ(status.code(), Code::kSystem);
    EXPECT_NE(status.message().find("tried memfd, /dev/shm and /tmp"), std::string::npos) << status.message();
  }));
}

TEST_F(ShmWorlds, AFullMemoryIsAnErrorBeforeItIsASignal) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    mount_tmpfs("/dev/shm", "size=1m");
    Result<Fd> fd = shm::create_segment(8 << 20, Backing::kDevShm);
    ASSERT_TRUE(fd.ok()) << fd.status().message();
    EXPECT_TRUE(shm::reserve(fd->get(), 0, 512 << 10).ok());
    const Status status = shm::reserve(fd->get(), 512 << 10, 4 << 20);
    EXPECT_EQ(status.code(), Code::kSystem);
    EXPECT_NE(status.message().find("lower TUTTI_SLOTS or TUTTI_SLOT_BYTES"), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("No space left"), std::string::npos) << status.message();
  }));
}

// The same through a transport: the receiver has no room, and both ends hear of it.
TEST_F(ShmWorlds, AReceiverWithoutRoomIsAnErrorOnBothSides) {
  EXPECT_TRUE(run_apart([] {
    enter_private_mounts();
    mount_tmpfs("/dev/shm", "size=1m");
    forbid_memfd();
    const FifoShapes large = {.inlined = kTestShapes.inlined, .staged = {.slots = 4, .capacity = 1 << 20, .payload_offset = 64}};
    expect_ends(run_ranks(Mode::kProcesses, 2, [&](Meeting& meeting, int number) {
      TestRank rank(kShm, meeting, number, 2, large);
      rank.open();
      const Status status = number == 0 ? rank.transport->sender({.peer = 1}, kConnect_s).status()
                                        : rank.transport->receiver({.peer = 0}, kConnect_s).status();
      EXPECT_EQ(status.code(), Code::kSystem) << status.message();
      EXPECT_NE(status.message().find("lower TUTTI_SLOTS or TUTTI_SLOT_BYTES"), std::string::npos) << status.message();
      EXPECT_NE(status.message().find("No space left"), std::string::npos) << status.message();
      rank.barrier();
      Traffic(rank, {Protocol::kInline}).exchange(100);  // what fits still works
      rank.barrier();
    }));
  }));
}

constexpr size_t kFrugal = 2 * 8192;  // two FIFOs of kTestShapes, in pages

// The receiver's budget, told on both sides; what there is goes on working.
TEST(ShmBudget, OneFifoMoreIsAnErrorThatNamesTheBudget) {
  expect_ends(run_ranks(Mode::kProcesses, 2, [](Meeting& meeting, int number) {
    TransportFixture frugal = kShm;
    frugal.make = [](int rank, int nranks, const FifoShapes& shapes, const Key& key) {
      return make_shm_transport(rank, nranks, shapes, key, test_budget(kFrugal));
    };
    TestRank rank(frugal, meeting, number, 2);
    rank.open();
    if (number == 0) {
      Status status;
      for (int channel = 0; channel < 10 && status.ok(); ++channel)
        status = rank.transport->sender({.peer = 1, .channel = channel}, kConnect_s).status();
      EXPECT_EQ(status.code(), Code::kSystem);
      EXPECT_NE(status.message().find("TUTTI_MEMORY"), std::string::npos) << status.message();
    }
    rank.barrier();
    Traffic(rank, {Protocol::kStaged}, 1).exchange(10);
    rank.barrier();
  }));
}

TEST_F(ShmWorlds, NothingIsLeftBehindByRanksThatAreKilled) {
  for (const bool with_memfd : {true, false}) {
    EXPECT_TRUE(run_apart([with_memfd] {
      enter_private_mounts();
      mount_tmpfs("/dev/shm", "size=64m");
      mount_tmpfs("/tmp", "size=64m");
      if (!with_memfd) forbid_memfd();
      constexpr int kAll[] = {0, 1, 2};
      const auto ends = run_ranks(Mode::kProcesses, 3, [](Meeting& meeting, int number) {
        TestRank rank(kShm, meeting, number, 3);
        rank.open();
        Traffic(rank).exchange(20);
        rank.barrier();
        std::raise(SIGKILL);
      });
      expect_ends(ends, kAll);
      EXPECT_TRUE(std::filesystem::is_empty("/dev/shm"));
      EXPECT_TRUE(std::filesystem::is_empty("/tmp"));
      const std::filesystem::space_info space = std::filesystem::space("/dev/shm");
      EXPECT_EQ(space.free, space.capacity);  // nor memory
    }));
  }
}

// Every backing gives zeroed memory that two mappings share.
TEST(ShmSegment, EveryBackingWorks) {
  for (const Backing backing : {Backing::kAny, Backing::kMemfd, Backing::kDevShm, Backing::kTmp}) {
    SCOPED_TRACE(static_cast<int>(backing));
    Result<Fd> fd = shm::create_segment(1 << 20, backing);
    ASSERT_TRUE(fd.ok()) << fd.status().message();
    ASSERT_TRUE(shm::reserve(fd->get(), 4096, 8192).ok());
    Result<shm::Mapping> one = shm::Mapping::map(fd->get(), 4096, 8192);
    Result<shm::Mapping> two = shm::Mapping::map(fd->get(), 4096, 8192);
    ASSERT_TRUE(one.ok() && two.ok());
    for (size_t i = 0; i < 8192; ++i) ASSERT_EQ(one->data()[i], std::byte{0});
    one->data()[8191] = std::byte{42};
    EXPECT_EQ(two->data()[8191], std::byte{42});
    shm::Mapping moved = std::move(*one);
    EXPECT_EQ(moved.data()[8191], std::byte{42});
    struct stat status = {};
    ASSERT_EQ(fstat(fd->get(), &status), 0);
    EXPECT_EQ(status.st_nlink, 0U) << "it has a name";
    EXPECT_NE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST(ShmSegment, WhatCannotBeMappedIsAnError) {
  const Status status = shm::Mapping::map(-1, 0, 4096).status();
  EXPECT_EQ(status.code(), Code::kSystem);
  EXPECT_NE(status.message().find("4096 bytes"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace tutti
