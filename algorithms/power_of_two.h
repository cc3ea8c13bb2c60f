// Any number of ranks made a power of two: neighbours are paired until one rank of each pair is left, so that what a rank stands for is
// always a range of ranks.
// Threading: pure functions.
#pragma once

namespace tutti {

// Of n ranks, the first 2 (n - size) form pairs (0, 1), (2, 3), ...; the even rank of a pair hands its input to the odd one, sits out, and
// is handed the result at the end. size is the largest power of two that is at most n.
struct PowerOfTwoFold {
  PowerOfTwoFold(int nranks, int rank) {
    while (2 * size <= nranks) size *= 2;
    pairs = nranks - size;
    sits_out = rank < 2 * pairs && rank % 2 == 0;
    stands_in = rank < 2 * pairs && rank % 2 == 1;
    index = rank < 2 * pairs ? rank / 2 : rank - pairs;
  }
  int rank_of(int other_index) const { return other_index < pairs ? 2 * other_index + 1 : other_index + pairs; }

  int size = 1;
  int pairs = 0;
  bool sits_out = false;   // rank + 1 stands in for it
  bool stands_in = false;  // for rank - 1
  int index = 0;           // among the `size` that are left; in the order of the ranks
};

inline bool is_power_of_two(int n) {
  return (n & (n - 1)) == 0;
}

}  // namespace tutti
