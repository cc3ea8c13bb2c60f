// What the tests of refusals share: a broken plan with what the verifier should say of it.
// Threading: pure functions.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "plan/verifier.h"
#include "tests/plan/plan_makers.h"

namespace tutti {

struct Broken {
  const char* name;
  Plan plan;
  VerifyOptions options;
  std::vector<std::string> says;  // the first begins the message, the others are in it
};

inline std::ostream& operator<<(std::ostream& out, const Broken& broken) {
  return out << broken.name;
}

inline Plan changed(Plan plan, const std::function<void(Plan&)>& change) {
  change(plan);
  return plan;
}

inline void expect_verified(const Plan& plan, const VerifyOptions& options = {}) {
  const Status status = verify(plan, options);
  EXPECT_TRUE(status.ok()) << collective_name(plan.ranks[0].collective) << ": " << status.message();
}

inline void expect_refused(const Broken& broken) {
  const Status status = verify(broken.plan, broken.options);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message().rfind(broken.says[0], 0), 0u) << status.message();
  for (const std::string& part : broken.says) EXPECT_NE(status.message().find(part), std::string::npos) << part << "\n" << status.message();
}

inline std::string name_of(const testing::TestParamInfo<Broken>& test) {
  return test.param.name;
}

}  // namespace tutti
