// The tests' main: the communicators that the tests kept go before the process ends.
#include <gtest/gtest.h>

#include "team.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  tutti::test::forget_worlds();
  return result;
}
