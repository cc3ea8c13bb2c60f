// Tests in forked children, whose parent never calls Tutti: where a rank has to die, or a process to be changed for good.
// Threading: the test's one thread.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

namespace tutti::test {

// The end of a child that hangs: a bound, far above what any machine needs.
inline constexpr unsigned kDeadlineSeconds = 300;

// Forks; the child runs body() and ends with its failures as exit status: 0, or 1 if any EXPECT failed.
template <class Body>
pid_t fork_child(const Body& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(kDeadlineSeconds);
  body();
  std::fflush(nullptr);
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

inline int wait_for(pid_t child) {
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

inline testing::AssertionResult ended_well(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return testing::AssertionSuccess();
  if (WIFSIGNALED(status)) return testing::AssertionFailure() << "the child ended by signal " << WTERMSIG(status);
  return testing::AssertionFailure() << "the child failed: its own message is above (exit status " << WEXITSTATUS(status) << ")";
}

template <class Body>
void in_child(const Body& body) {
  EXPECT_TRUE(ended_well(wait_for(fork_child(body))));
}

// One child a rank, all of them well in the end.
template <class Body>
void in_children(int nranks, const Body& body) {
  std::vector<pid_t> children;
  for (int rank = 0; rank < nranks; ++rank) children.push_back(fork_child([&] { body(rank); }));
  for (const pid_t child : children) EXPECT_TRUE(ended_well(wait_for(child)));
}

// A pipe made before the fork.
struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() { close(ends[0]), close(ends[1]); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  template <class T>
  void put(const T& value) {
    EXPECT_EQ(write(ends[1], &value, sizeof value), static_cast<ssize_t>(sizeof value));
  }
  template <class T>
  T get() {
    T value{};
    EXPECT_EQ(read(ends[0], &value, sizeof value), static_cast<ssize_t>(sizeof value));
    return value;
  }

  int ends[2];
};

}  // namespace tutti::test
