// The built-in algorithms, verified, then run by the interpreter over heap FIFOs: right results for every rank count, element count,
// protocol and number of channels, in place and out of place; and the same bits in whatever order the ranks are stepped.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "algorithms/algorithm.h"
#include "plan/verifier.h"
#include "tests/executor/machine.h"

namespace tutti {
namespace {

struct Case {
  const char* algorithm;
  int nranks;
  int channels;
  Protocol protocol;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.algorithm << " of " << c.nranks << ", " << c.channels << " channels, " << protocol_name(c.protocol);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Protocol protocol : {Protocol::kInline, Protocol::kStaged}) {
    for (const int nranks : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16}) {
      for (const int channels : {1, 2, 8}) all.push_back({"ring", nranks, channels, protocol});
      all.push_back({"one_shot", nranks, 1, protocol});
    }
  }
  return all;
}

Plan plan_of(const Case& c) {
  const PlanRequest request{.nranks = c.nranks};
  const PlanChoice choice{.algorithm = c.algorithm, .channels = c.channels, .protocol = c.protocol};
  return generate_plan(*find_algorithm(c.algorithm), request, choice, *single_host_topology(c.nranks));
}

using Values = std::vector<float>;

// Whole numbers, whose sums float32 holds exactly, in whatever order.
float exact(size_t rank, size_t i, uint32_t round) {
  return static_cast<float>(static_cast<int>((rank * 131 + i * 7 + round * 29) % 2003) - 1001);
}

// Magnitudes so different that every order of summation gives other bits.
float rough(std::mt19937& random) {
  return std::ldexp(static_cast<float>(random() % 100000) - 50000, static_cast<int>(random() % 24) - 12);
}

// What all ranks gave and got. Guards around the outputs show writes outside.
class Data {
 public:
  static constexpr size_t kGuard = 16;
  static constexpr float kGuardValue = -7.5f;

  template <class Value>
  Data(size_t nranks, size_t count, bool in_place, const Value& value) : count_(count), in_place_(in_place) {
    for (size_t rank = 0; rank < nranks; ++rank) {
      Values& input = inputs_.emplace_back(count);
      for (size_t i = 0; i < count; ++i) input[i] = value(rank, i);
      Values& output = outputs_.emplace_back(count + 2 * kGuard, kGuardValue);
      if (in_place) std::copy(input.begin(), input.end(), output.begin() + kGuard);
    }
    given_ = inputs_;
  }

  Operands operands(size_t rank) {
    float* const output = outputs_[rank].data() + kGuard;
    return {.input = in_place_ ? output : inputs_[rank].data(), .output = output, .count = count_, .signature = 0x1234};
  }

  float result(size_t rank, size_t i) const { return outputs_[rank][kGuard + i]; }
  bool same_bits(size_t rank, const Data& other, size_t other_rank) const {
    return count_ == 0 || std::memcmp(&outputs_[rank][kGuard], &other.outputs_[other_rank][kGuard], count_ * sizeof(float)) == 0;
  }

  void expect_untouched() const {
    EXPECT_EQ(inputs_, given_);
    for (const Values& output : outputs_) {
      for (size_t i = 0; i < kGuard; ++i) {
        ASSERT_EQ(output[i], kGuardValue);
        ASSERT_EQ(output[kGuard + count_ + i], kGuardValue);
      }
    }
  }

 private:
  size_t count_;
  bool in_place_;
  std::vector<Values> inputs_, outputs_, given_;
};

class Algorithms : public ::testing::TestWithParam<Case> {};

TEST_P(Algorithms, AddExactly) {
  const Plan plan = plan_of(GetParam());
  for (const bool in_place : {false, true}) {
    const Status verified = verify(plan, {.in_place = in_place});
    ASSERT_TRUE(verified.ok()) << verified.message();
  }
  Machine machine(plan, GetParam().protocol);
  uint32_t round = 0;  // one machine for all: counters and scratch go on from operation to operation
  for (const size_t count : {1, 0, 2, 3, 17, 50, 51, 255, 256, 1009, 8191, 1}) {
    for (const bool in_place : {false, true}) {
      ++round;
      SCOPED_TRACE(std::to_string(count) + (in_place ? " in place" : ""));
      Data data(plan.ranks.size(), count, in_place, [&](size_t rank, size_t i) { return exact(rank, i, round); });
      for (size_t rank = 0; rank < machine.nranks(); ++rank) machine.start(rank, data.operands(rank));
      machine.run_round_robin();
      for (size_t i = 0; i < count; ++i) {
        float expected = 0;
        for (size_t rank = 0; rank < machine.nranks(); ++rank) expected += exact(rank, i, round);
        for (size_t rank = 0; rank < machine.nranks(); ++rank)
          ASSERT_EQ(data.result(rank, i), expected) << "rank " << rank << ", element " << i;
      }
      data.expect_untouched();
    }
  }
}

TEST_P(Algorithms, GiveTheSameBitsInWhateverOrderRanksAreStepped) {
  const Plan plan = plan_of(GetParam());
  constexpr size_t kCount = 3001;
  const auto fresh = [&] {
    std::mt19937 random(42);
    return Data(plan.ranks.size(), kCount, false, [&](size_t, size_t) { return rough(random); });
  };
  Data reference = fresh();
  Machine machine(plan, GetParam().protocol);
  for (size_t rank = 0; rank < machine.nranks(); ++rank) machine.start(rank, reference.operands(rank));
  machine.run_round_robin();
  for (uint32_t seed = 0; seed < 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Data data = fresh();
    for (size_t rank = 0; rank < machine.nranks(); ++rank) machine.start(rank, data.operands(rank));
    machine.run_at_random(random);
    for (size_t rank = 0; rank < machine.nranks(); ++rank) EXPECT_TRUE(data.same_bits(rank, reference, 0)) << "rank " << rank;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Algorithms, ::testing::ValuesIn(cases()), [](const auto& instance) {
  const Case& c = instance.param;
  return std::string(c.algorithm) + "_" + std::to_string(c.nranks) + "_" + std::to_string(c.channels) + "_" + protocol_name(c.protocol);
});

// Slices cut finer than a slot change no bit.
TEST(Executor, SliceBytesChangeNoResult) {
  const Case c{"one_shot", 4, 1, Protocol::kStaged};
  const Plan plan = plan_of(c);
  std::optional<Data> reference;
  for (const uint32_t slice_bytes : {0u, 64u, 100u, 4u, 1u << 20}) {
    std::mt19937 random(7);
    Data data(4, 777, false, [&](size_t, size_t) { return rough(random); });
    Machine machine(plan, c.protocol, slice_bytes);
    for (size_t rank = 0; rank < 4; ++rank) machine.start(rank, data.operands(rank));
    machine.run_round_robin();
    if (!reference) reference = data;
    for (size_t rank = 0; rank < 4; ++rank) EXPECT_TRUE(data.same_bits(rank, *reference, 0)) << slice_bytes;
  }
}

// Only one rank's executor, and nothing is stepped: start() is what takes scratch and refuses slices.
class Starting : public ::testing::Test {
 protected:
  static constexpr size_t kBudget = 8192;

  Executor make() { return Executor(host_device(), world_.transport(kRank), 0, 16 * 1024, &budget_); }
  std::unique_ptr<Launch> bind(Executor& executor, uint32_t slice_bytes = 0) {
    return std::move(*executor.bind(plan_.ranks[kRank], Protocol::kStaged, slice_bytes, 1));
  }
  Operands operands(size_t count) {
    Operands operands = data_.operands(kRank);
    operands.count = count;
    return operands;
  }

  static constexpr size_t kRank = 2;  // the first with a block of scratch in one_shot
  const Plan plan_ = plan_of({"one_shot", 4, 1, Protocol::kStaged});
  MemoryWorld world_{4, kSmallShapes};
  MemoryBudget budget_{kBudget};
  Data data_{4, 4000, false, [](size_t rank, size_t i) { return exact(rank, i, 0); }};
};

TEST_F(Starting, ScratchIsTakenFromTheBudgetAndGivenBack) {
  ASSERT_EQ(plan_.ranks[kRank].scratch_blocks, 1U);
  {
    Executor executor = make();
    const std::unique_ptr<Launch> launch = bind(executor);
    ASSERT_TRUE(executor.start(*launch, operands(1000)).ok());
    EXPECT_GE(executor.scratch_bytes(), 4000U);
    EXPECT_FALSE(budget_.take_scratch(kBudget - 3999).ok());

    const Status refused = executor.start(*launch, operands(3000));
    EXPECT_EQ(refused.code(), Code::kSystem);
    EXPECT_NE(refused.message().find("TUTTI_MEMORY"), std::string::npos) << refused.message();
    EXPECT_NE(refused.message().find("scratch"), std::string::npos) << refused.message();
    EXPECT_EQ(executor.scratch_bytes(), 0U);
    EXPECT_TRUE(executor.start(*launch, operands(2000)).ok());  // what the refused one had was given back
  }
  EXPECT_TRUE(budget_.take(kBudget).ok());  // and so does who ends
  EXPECT_EQ(budget_.connections(), kBudget);
}

TEST_F(Starting, ASliceSmallerThanAnElementIsRefused) {
  Executor executor = make();
  const std::unique_ptr<Launch> launch = bind(executor, 4);
  EXPECT_TRUE(executor.start(*launch, operands(10)).ok());
  for (const bool uneven : {false, true}) {
    Operands wide = operands(10);
    wide.arithmetic.type = DataType::kFloat64;
    wide.uneven = uneven;
    const Status refused = executor.start(*launch, wide);
    EXPECT_EQ(refused.code(), Code::kInvalidArgument);
    EXPECT_NE(refused.message().find("slice_bytes"), std::string::npos) << refused.message();
  }
}

// A thread a rank, as a user would: what ThreadSanitizer sees of the interpreter.
TEST(Executor, OneThreadARank) {
  for (const Case& c : {Case{"ring", 4, 2, Protocol::kStaged}, Case{"one_shot", 4, 1, Protocol::kInline}}) {
    const Plan plan = plan_of(c);
    constexpr size_t kCount = 20011;
    Machine machine(plan, c.protocol);
    Data data(4, kCount, false, [](size_t rank, size_t i) { return exact(rank, i, 0); });
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < 4; ++rank) {
      threads.emplace_back([&, rank] {
        const Operands operands = data.operands(rank);
        for (int repeat = 0; repeat < 3; ++repeat) {
          machine.start(rank, operands);
          while (machine.step(rank) != StepResult::kDone) std::this_thread::yield();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < kCount; ++i) {
      const float expected = exact(0, i, 0) + exact(1, i, 0) + exact(2, i, 0) + exact(3, i, 0);
      for (size_t rank = 0; rank < 4; ++rank) ASSERT_EQ(data.result(rank, i), expected);
    }
  }
}

}  // namespace
}  // namespace tutti
