// See timing.h.
#include "timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace perf {
namespace {

constexpr size_t kBatches = 20;         // where they cost little,
constexpr double kCheapBatchUs = 5000;  // which is up to this each
constexpr int kMaxTooShort = 30;        // then a batch counts whatever its length: the machine is speeding up without end

// The slowest rank's time of `iterations` iterations, the first being number `first`, after a barrier, in microseconds; the same number on
// every rank.
double run_batch(const Operation& operation, size_t first, size_t iterations, Exchange& exchange) {
  using Clock = std::chrono::steady_clock;
  exchange.barrier();
  const Clock::time_point start = Clock::now();
  for (size_t i = 0; i < iterations; ++i) operation.run(first + i);
  const std::chrono::duration<double, std::micro> elapsed = Clock::now() - start;
  return exchange.max(static_cast<float>(elapsed.count()));
}

// How many iterations should make a batch, after `iterations` took only `elapsed_us`.
size_t longer_batch(size_t iterations, double elapsed_us) {
  constexpr double kMargin = 1.25, kMostGrowth = 16;
  const double growth = elapsed_us > 0 ? std::clamp(kMargin * kBatchUs / elapsed_us, 1.0, kMostGrowth) : kMostGrowth;
  return std::max(iterations + 1, static_cast<size_t>(std::ceil(static_cast<double>(iterations) * growth)));
}

size_t batches_wanted(size_t iterations, size_t batch, double batch_us) {
  const size_t needed = (iterations + batch - 1) / batch;
  return batch_us <= kCheapBatchUs ? std::max(needed, kBatches) : needed;
}

// `sorted` ascending, not empty; linear between the two nearest.
double percentile(const std::vector<double>& sorted, double fraction) {
  const double at = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Timing measure(const Operation& operation, int warmups, int iterations, Exchange& exchange) {
  size_t next = 0;  // iteration
  for (int i = 0; i < warmups; ++i) operation.run(next++);
  std::vector<double> means;
  size_t batch = 1;
  size_t wanted = 1;  // batches; known after the first that counts
  int too_short = 0;
  while (means.size() < wanted) {
    const double elapsed_us = run_batch(operation, next, batch, exchange);
    next += batch;
    if (elapsed_us < kBatchUs && too_short < kMaxTooShort) {
      batch = longer_batch(batch, elapsed_us);
      ++too_short;
      continue;
    }
    means.push_back(elapsed_us / static_cast<double>(batch));
    if (means.size() == 1) wanted = batches_wanted(static_cast<size_t>(iterations), batch, elapsed_us);
  }
  std::sort(means.begin(), means.end());
  return {percentile(means, 0.5), percentile(means, 0.1), percentile(means, 0.9)};
}

}  // namespace perf
