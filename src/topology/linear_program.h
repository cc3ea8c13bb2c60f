// A small linear program whose columns come one after another: maximise the gains of what is packed into rows of limited room.
//
//   maximise  sum_j gain_j x_j   where  sum_j a_ij x_j <= room_i for every row i,  x >= 0,  room_i >= 0
//
// Revised simplex with a dense inverse: memory rows^2, a pivot rows^2. The only operations on numbers are + - * / and comparisons, so that
// every rank that runs the same binary gets the same bits.
// Threading: one thread an object.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace tutti {

class LinearProgram {
 public:
  // Rooms of 0 are given a little, and all a little more than the others' alike, so that no two rows bind by accident at the same point:
  // a vertex of many tight rows is where a simplex can turn in circles. The solution is good to about 1e-6.
  explicit LinearProgram(const std::vector<double>& room);

  // Entries are (row, a). Returns the column's number.
  int add(double gain, std::vector<std::pair<int, double>> entries);

  // Goes on from where it stands, to the best solution with the columns there are, or until `pivots` have been made.
  void solve(int pivots);

  double value() const;
  std::vector<double> solution() const;                          // x, by column
  const std::vector<double>& prices() const { return prices_; }  // of a unit of each row's room
  int64_t work() const { return work_; }                         // operations so far

 private:
  struct Column {
    double gain = 0;
    std::vector<std::pair<int, double>> entries;
  };

  bool pivot();
  int entering();

  const int rows_;
  std::vector<Column> columns_;
  std::vector<int> basis_;      // of each row: the column, or -1 - row for what is left of that row's room
  std::vector<bool> is_basic_;  // of each column
  std::vector<double> inverse_, level_, prices_;
  int64_t work_ = 0;
};

}  // namespace tutti
