// Every built-in algorithm is proved for every collective that it takes on, 1 to 64 ranks and every root, out of place and in place,
// rank-ordered and uneven where it says that it can; and sampled above.
#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plan/semantics.h"
#include "plan/verifier.h"
#include "tests/plan/plan_makers.h"
#include "tests/support/sanitizers.h"
#include "tests/plan/request_forms.h"

namespace tutti {
namespace {

struct Case {
  const Algorithm* algorithm;
  Collective collective;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.algorithm->name << " " << collective_name(c.collective);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Algorithm* algorithm : algorithms()) {
    for (int i = 0; i + 1 < kCollectives; ++i) {  // all but sendrecv, the last
      const auto collective = static_cast<Collective>(i);
      bool any = false;
      for (int nranks = 1; nranks <= 64 && !any; ++nranks) {
        for (const PlanRequest& request : forms(collective, nranks, 0))
          any = any || algorithm->max_channels(request, host_topology(nranks)) > 0;
      }
      if (any) all.push_back({algorithm, collective});
    }
  }
  return all;
}

class VerifyAlgorithm : public testing::TestWithParam<Case> {
 protected:
  // All forms of the request, with 1, 2 and the most channels, but no more than `limit`.
  void verify_request(int nranks, int root, int limit) {
    const Algorithm& algorithm = *GetParam().algorithm;
    std::map<int, std::vector<Proved>> proved;  // by channels
    for (const PlanRequest& request : forms(GetParam().collective, nranks, root)) {
      const int most = algorithm.max_channels(request, host_topology(nranks));
      for (const int channels : std::set<int>{1, 2, most}) {
        if (channels < 1 || channels > std::min(most, limit)) continue;
        Plan plan = algorithm_plan(algorithm, request, channels);
        // A plan that holds for a form that asks more, holds for this one.
        const bool known = std::any_of(proved[channels].begin(), proved[channels].end(), [&](const Proved& earlier) {
          return (earlier.request.uneven || !request.uneven) && (earlier.request.rank_ordered || !request.rank_ordered) &&
                 earlier.plan == plan;
        });
        if (!known) verify_plan(plan, request, channels);
        if (HasFatalFailure()) return;
        if (!known) proved[channels].push_back({request, std::move(plan)});
      }
    }
  }

  // Out of place and in place, at depth 2: no FIFO has fewer slots, and from there all greater depths follow.
  void verify_plan(const Plan& plan, const PlanRequest& request, int channels) {
    ++plans_;
    for (const bool in_place : {false, true}) {
      if (in_place && !has_in_place(request.collective)) continue;
      const Status status =
          verify(plan, {.fifo_depth = 2, .in_place = in_place, .rank_ordered = request.rank_ordered, .uneven = request.uneven});
      ASSERT_TRUE(status.ok()) << request.nranks << " ranks, root " << request.root << ", " << channels << " channels, in_place "
                               << in_place << ", rank_ordered " << request.rank_ordered << ", uneven " << request.uneven << ": "
                               << status.message();
    }
  }

  void verify_sizes(int least, int most) {
    for (int nranks = least; nranks <= most; ++nranks) {
      for (int root = 0; root < (has_root(GetParam().collective) ? nranks : 1); ++root) {
        verify_request(nranks, root, INT_MAX);
        if (HasFatalFailure()) return;
      }
    }
  }

  void verify_sample(int nranks, int most_channels) {
    for (const int root : has_root(GetParam().collective) ? std::set<int>{0, nranks / 2, nranks - 1} : std::set<int>{0}) {
      verify_request(nranks, root, most_channels);
      if (HasFatalFailure()) return;
    }
  }

  struct Proved {
    PlanRequest request;
    Plan plan;
  };

  int plans_ = 0;
};

TEST_P(VerifyAlgorithm, HoldsFor1To32Ranks) {
  verify_sizes(1, kUnderSanitizer ? 16 : 32);
  EXPECT_GT(plans_, 0) << "nothing was verified";
}

TEST_P(VerifyAlgorithm, HoldsFor33To48Ranks) {
  if (kUnderSanitizer) GTEST_SKIP() << "the release build proves it";
  verify_sizes(33, 48);
}

TEST_P(VerifyAlgorithm, HoldsFor49To64Ranks) {
  if (kUnderSanitizer) GTEST_SKIP() << "the release build proves it";
  verify_sizes(49, 64);
}

TEST_P(VerifyAlgorithm, HoldsForOtherParameters) {
  const Algorithm& algorithm = *GetParam().algorithm;
  for (const int nranks : {1, 2, 3, 4, 5, 8, 13, 16, 27, 33, 64}) {
    if (kUnderSanitizer && nranks > 16) break;
    const int root = has_root(GetParam().collective) ? nranks / 2 : 0;
    for (const PlanRequest& request : forms(GetParam().collective, nranks, root)) {
      if (algorithm.max_channels(request, host_topology(nranks)) == 0) continue;
      Plan known = algorithm_plan(algorithm, request, 1);
      for (const int parameter : {-1, 1, 2, 3, 4, 5, 8, INT_MAX}) {
        const PlanChoice choice{.algorithm = algorithm.name, .channels = 1, .parameter = parameter};
        Plan plan = generate_plan(algorithm, request, choice, host_topology(nranks));
        if (plan == known) continue;
        verify_plan(plan, request, 1);
        if (HasFatalFailure()) return;
        known = std::move(plan);
      }
    }
  }
}

TEST_P(VerifyAlgorithm, HoldsForManyRanks) {
  if (kUnderSanitizer) GTEST_SKIP() << "the release build proves it";
  verify_sample(100, 2);
  verify_sample(128, 2);
  verify_sample(257, 1);
}

TEST_P(VerifyAlgorithm, HoldsFor1024Ranks) {
  if (kUnderSanitizer) GTEST_SKIP() << "the release build proves it";
  verify_sample(1024, 1);
}

INSTANTIATE_TEST_SUITE_P(All, VerifyAlgorithm, testing::ValuesIn(cases()), [](const testing::TestParamInfo<Case>& test) {
  return std::string(test.param.algorithm->name) + "_on_" + collective_name(test.param.collective);
});

}  // namespace
}  // namespace tutti
