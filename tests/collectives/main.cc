// The tests' main: the communicators that the tests kept go before the process ends.
#include <gtest/gtest.h>

#include "team.h"

namespace {

// What an accelerator was given that it must not be given fails the test, whatever came of it.
class NoViolations : public ::testing::EmptyTestEventListener {
  void OnTestEnd(const ::testing::TestInfo& /*test*/) override {
    for (const char letter : {'a', 'b'}) {
      for (const std::string& violation : tutti::test::accelerator_of(letter)->take_violations()) ADD_FAILURE() << violation;
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::UnitTest::GetInstance()->listeners().Append(new NoViolations);  // gtest's
  const int result = RUN_ALL_TESTS();
  tutti::test::forget_worlds();
  return result;
}
