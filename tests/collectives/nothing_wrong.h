// A finding as GoogleTest takes it. Threading: pure functions.
#pragma once

#include <gtest/gtest.h>

#include "team.h"

namespace tutti::test {

inline ::testing::AssertionResult nothing_wrong(const Finding& found) {
  return found.empty() ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << found;
}

}  // namespace tutti::test
