// A mixture-of-experts layer's traffic: every rank owns one expert; tokens go to the expert that their router chose, and come back.
// Counts differ for every pair of ranks and step, so they are exchanged first, then the tokens, both by all-to-all. `tutti-run -n 4 --
// example_mixture_of_experts`. C++20.
#include <cstdio>
#include <vector>

#include "check.h"
#include "tutti/tutti.h"

namespace {

constexpr size_t kTokens = 1000;  // a rank
constexpr size_t kWidth = 16;     // floats of a token

// Where a router might send token t of rank r: skewed on purpose.
int expert_of(int rank, size_t token, int experts) {
  const size_t hash = (token * 2654435761u + static_cast<size_t>(rank) * 40503u) >> 7;
  return hash % 3 == 0 ? 0 : static_cast<int>(hash % static_cast<size_t>(experts));
}

std::vector<size_t> in_floats(const std::vector<uint64_t>& tokens) {
  std::vector<size_t> floats;
  for (const uint64_t t : tokens) floats.push_back(t * kWidth);
  return floats;
}

size_t sum(const std::vector<size_t>& counts) {
  size_t total = 0;
  for (const size_t count : counts) total += count;
  return total;
}

}  // namespace

int main() {
  tuttiComm_t comm = nullptr;
  int rank = 0, ranks = 0;
  CHECK(tuttiCommInitFromEnv(&comm, nullptr));
  CHECK(tuttiCommUserRank(comm, &rank));
  CHECK(tuttiCommCount(comm, &ranks));

  // Tokens sorted by expert; token t's features all hold a number that names it.
  std::vector<uint64_t> to_each(static_cast<size_t>(ranks)), from_each(static_cast<size_t>(ranks));
  std::vector<float> tokens;
  for (int expert = 0; expert < ranks; ++expert) {
    for (size_t t = 0; t < kTokens; ++t) {
      if (expert_of(rank, t, ranks) != expert) continue;
      ++to_each[static_cast<size_t>(expert)];
      tokens.insert(tokens.end(), kWidth, static_cast<float>(rank * 10000 + static_cast<int>(t)));
    }
  }

  CHECK(tuttiAllToAll(to_each.data(), from_each.data(), 1, tuttiUint64, comm, nullptr));
  const std::vector<size_t> send = in_floats(to_each), recv = in_floats(from_each);
  std::vector<float> arrived(sum(recv)), returned(tokens.size());
  CHECK(tuttiAllToAllV(tokens.data(), send.data(), nullptr, arrived.data(), recv.data(), nullptr, tuttiFloat32, comm, nullptr));
  for (float& feature : arrived) feature = 2 * feature + 1;  // the expert
  CHECK(tuttiAllToAllV(arrived.data(), recv.data(), nullptr, returned.data(), send.data(), nullptr, tuttiFloat32, comm, nullptr));
  CHECK(tuttiCommDestroy(comm));

  size_t wrong = 0;
  for (size_t i = 0; i < tokens.size(); ++i) wrong += returned[i] != 2 * tokens[i] + 1;
  std::printf("rank %d of %d: %zu tokens went to their experts and back, its expert saw %zu; %zu features wrong\n", rank, ranks,
              tokens.size() / kWidth, arrived.size() / kWidth, wrong);
  return wrong == 0 ? 0 : 1;
}
