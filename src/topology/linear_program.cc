#include "topology/linear_program.h"

#include <algorithm>
#include <cmath>

namespace tutti {
namespace {

constexpr double kZero = 1e-9;

// 0 .. 1, by row.
double scatter(uint32_t row) {
  uint32_t x = (row + 1) * 0x9e3779b9u;
  x = (x ^ x >> 16) * 0x85ebca6bu;
  x = (x ^ x >> 13) * 0xc2b2ae35u;
  return static_cast<double>((x ^ x >> 16) & 0xffffff) / 0x1000000;
}

}  // namespace

LinearProgram::LinearProgram(const std::vector<double>& room)
    : rows_(static_cast<int>(room.size())), inverse_(room.size() * room.size(), 0), level_(room), prices_(room.size(), 0) {
  double most = 0;
  for (const double each : room) most = std::max(most, each);
  for (int row = 0; row < rows_; ++row) {
    basis_.push_back(-1 - row);
    inverse_[static_cast<size_t>(row) * static_cast<size_t>(rows_ + 1)] = 1;
    double& level = level_[static_cast<size_t>(row)];
    const double little = 1e-7 * (1 + scatter(static_cast<uint32_t>(row)));
    level += little * (level > 0 ? level : most);
  }
}

int LinearProgram::add(double gain, std::vector<std::pair<int, double>> entries) {
  columns_.push_back({gain, std::move(entries)});
  is_basic_.push_back(false);
  return static_cast<int>(columns_.size()) - 1;
}

// The column, or -1 - row, whose increase gains most; columns_.size() where none gains anything.
int LinearProgram::entering() {
  double best = kZero;
  int best_column = static_cast<int>(columns_.size());
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (is_basic_[c]) continue;
    double gain = columns_[c].gain;
    for (const auto& [row, a] : columns_[c].entries) gain -= prices_[static_cast<size_t>(row)] * a;
    work_ += static_cast<int64_t>(columns_[c].entries.size());
    if (gain > best) best = gain, best_column = static_cast<int>(c);
  }
  for (int row = 0; row < rows_; ++row) {
    if (-prices_[static_cast<size_t>(row)] > best) best = -prices_[static_cast<size_t>(row)], best_column = -1 - row;
  }
  return best_column;
}

bool LinearProgram::pivot() {
  const auto n = static_cast<size_t>(rows_);
  const int enters = entering();
  if (enters == static_cast<int>(columns_.size())) return false;
  std::vector<double> direction(n, 0);
  double gain = 0;
  const auto take = [&](int row, double a) {
    for (size_t i = 0; i < n; ++i) direction[i] += inverse_[i * n + static_cast<size_t>(row)] * a;
    gain -= prices_[static_cast<size_t>(row)] * a;
  };
  if (enters < 0) {
    take(-1 - enters, 1);
  } else {
    gain = columns_[static_cast<size_t>(enters)].gain;
    for (const auto& [row, a] : columns_[static_cast<size_t>(enters)].entries) take(row, a);
  }
  size_t leaves = n;
  double least = 0;
  for (size_t i = 0; i < n; ++i) {
    if (direction[i] <= kZero) continue;
    const double ratio = std::max(level_[i], 0.0) / direction[i];
    if (leaves == n || ratio < least || (ratio == least && direction[i] > direction[leaves])) leaves = i, least = ratio;
  }
  if (leaves == n) return false;  // no limit: cannot be where every column uses some row
  const double scale = 1 / direction[leaves];
  for (size_t j = 0; j < n; ++j) inverse_[leaves * n + j] *= scale;
  level_[leaves] = least;
  for (size_t i = 0; i < n; ++i) {
    if (i == leaves || direction[i] == 0) continue;
    for (size_t j = 0; j < n; ++j) inverse_[i * n + j] -= direction[i] * inverse_[leaves * n + j];
    level_[i] -= direction[i] * least;
  }
  for (size_t j = 0; j < n; ++j) prices_[j] += gain * inverse_[leaves * n + j];
  if (basis_[leaves] >= 0) is_basic_[static_cast<size_t>(basis_[leaves])] = false;
  if (enters >= 0) is_basic_[static_cast<size_t>(enters)] = true;
  basis_[leaves] = enters;
  work_ += static_cast<int64_t>(n * n);
  return true;
}

void LinearProgram::solve(int pivots) {
  while (pivots-- > 0 && pivot()) {
  }
}

double LinearProgram::value() const {
  double value = 0;
  for (size_t i = 0; i < basis_.size(); ++i) {
    if (basis_[i] >= 0) value += columns_[static_cast<size_t>(basis_[i])].gain * level_[i];
  }
  return value;
}

std::vector<double> LinearProgram::solution() const {
  std::vector<double> x(columns_.size(), 0);
  for (size_t i = 0; i < basis_.size(); ++i) {
    if (basis_[i] >= 0) x[static_cast<size_t>(basis_[i])] = std::max(level_[i], 0.0);
  }
  return x;
}

}  // namespace tutti
