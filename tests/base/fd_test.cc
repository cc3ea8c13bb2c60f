// Fd closes once, what it owns and nothing else.
#include "base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace tutti {
namespace {

int open_null() {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}
bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

TEST(Fd, EmptyIsFalse) {
  const Fd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(Fd, ClosesAtItsEnd) {
  const int number = open_null();
  {
    const Fd fd(number);
    EXPECT_TRUE(fd);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MovingHandsOver) {
  const int number = open_null();
  Fd first(number);
  Fd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT: what a moved-from Fd holds is the point
  EXPECT_EQ(second.get(), number);
  const int other = open_null();
  Fd third(other);
  third = std::move(second);
  EXPECT_FALSE(is_open(other));
  EXPECT_TRUE(is_open(number));
  Fd& same = third;
  third = std::move(same);
  EXPECT_TRUE(is_open(number));
}

TEST(Fd, ResetCloses) {
  const int number = open_null();
  Fd fd(number);
  fd.reset();
  EXPECT_FALSE(fd);
  EXPECT_FALSE(is_open(number));
  fd.reset();  // twice is harmless
}

}  // namespace
}  // namespace tutti
