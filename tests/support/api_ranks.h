// The ranks of a communicator as threads of the test, through the C API alone; and buffers whose sums are exact.
// Threading: an ApiRanks belongs to the test's thread; each() runs its body on one thread a rank.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::test {

// A config with nothing set but what the caller sets.
inline tuttiConfig_t unset_config() {
  return TUTTI_CONFIG_INITIALIZER;
}

class ApiRanks {
 public:
  // By tuttiCommInitAll, or with a config by tuttiCommInitRankConfig on one thread a rank.
  explicit ApiRanks(int nranks, const tuttiConfig_t* config = nullptr) : comms_(static_cast<size_t>(nranks)) {
    if (config == nullptr) {
      EXPECT_EQ(tuttiCommInitAll(comms_.data(), nranks, nullptr), tuttiSuccess) << tuttiGetLastError(nullptr);
      return;
    }
    tuttiUniqueId id;
    EXPECT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
    each([&](int rank, tuttiComm_t& comm) {
      EXPECT_EQ(tuttiCommInitRankConfig(&comm, nranks, id, rank, config), tuttiSuccess) << tuttiGetLastError(nullptr);
    });
  }
  ~ApiRanks() {
    for (tuttiComm_t comm : comms_) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
  }
  ApiRanks(const ApiRanks&) = delete;
  ApiRanks& operator=(const ApiRanks&) = delete;

  int size() const { return static_cast<int>(comms_.size()); }
  // Set it to NULL to take the handle away.
  tuttiComm_t& operator[](int rank) { return comms_[static_cast<size_t>(rank)]; }

  // body(rank, comm), every rank on a thread of its own.
  template <class Body>
  void each(const Body& body) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size(); ++rank) threads.emplace_back([&, rank] { body(rank, comms_[static_cast<size_t>(rank)]); });
    for (std::thread& thread : threads) thread.join();
  }

 private:
  std::vector<tuttiComm_t> comms_;
};

// Whole numbers whose sums over 64 ranks float32 holds exactly; they differ by rank, index and round.
inline float exact_value(int rank, size_t i, int round = 0) {
  return static_cast<float>(static_cast<int>((i * 7 + static_cast<size_t>(rank) * 31 + static_cast<size_t>(round) * 101) % 2003) - 1001);
}

inline float exact_sum(int nranks, size_t i, int round = 0) {
  float sum = 0;
  for (int rank = 0; rank < nranks; ++rank) sum += exact_value(rank, i, round);
  return sum;
}

// `count` floats between two guard zones, `offset` floats off the vector alignment.
class GuardedFloats {
 public:
  explicit GuardedFloats(size_t count, size_t offset = 0) : count_(count), offset_(offset), all_(count + offset + 2 * kGuard, kPattern) {}

  float* data() { return all_.data() + kGuard + offset_; }
  size_t size() const { return count_; }
  float& operator[](size_t i) { return data()[i]; }

  void fill(int rank, int round = 0) {
    for (size_t i = 0; i < count_; ++i) data()[i] = exact_value(rank, i, round);
  }

  testing::AssertionResult guards_are_intact() const {
    for (size_t i = 0; i < all_.size(); ++i) {
      if ((i < kGuard + offset_ || i >= kGuard + offset_ + count_) && all_[i] != kPattern) {
        return testing::AssertionFailure() << "written outside: " << static_cast<ptrdiff_t>(i - kGuard - offset_) << " of " << count_;
      }
    }
    return testing::AssertionSuccess();
  }

  testing::AssertionResult holds_sum(int nranks, int round = 0) {
    for (size_t i = 0; i < count_; ++i) {
      if (data()[i] != exact_sum(nranks, i, round)) {
        return testing::AssertionFailure() << "element " << i << " of " << count_ << " is " << data()[i] << ", not "
                                           << exact_sum(nranks, i, round);
      }
    }
    return guards_are_intact();
  }

  testing::AssertionResult holds_values_of(int rank, int round = 0) {
    for (size_t i = 0; i < count_; ++i) {
      if (data()[i] != exact_value(rank, i, round))
        return testing::AssertionFailure() << "input element " << i << " was changed to " << data()[i];
    }
    return guards_are_intact();
  }

 private:
  static constexpr size_t kGuard = 32;
  static constexpr float kPattern = -12345.5F;

  size_t count_;
  size_t offset_;
  std::vector<float> all_;
};

inline tuttiResult_t all_reduce(const float* in, float* out, size_t count, tuttiComm_t comm) {
  return tuttiAllReduce(in, out, count, tuttiFloat32, tuttiSum, comm, nullptr);
}

// An enum's value that C++ has no name for, as a C program may pass it.
template <class Enum>
Enum unnamed(int value) {
  static_assert(sizeof(Enum) == sizeof(int));
  Enum result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

inline testing::AssertionResult contains(const std::string& text, const std::string& fragment) {
  if (text.find(fragment) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << fragment << "' is not in: " << text;
}

}  // namespace tutti::test
