// See pattern.h. One hash gives the entries of eight consecutive indices.
#include "pattern.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace perf {
namespace {

constexpr size_t kLanes = 8;  // entries in one hash, a byte each
static_assert(kEntries == 256);

uint64_t mix64(uint64_t x) {  // splitmix64's finaliser
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9u;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

uint64_t entries_of(uint64_t seed, size_t group) {
  return mix64(seed + 0x9E3779B97F4A7C15u * (group + 1));
}

// visit(k, word) for k in [0, count): the element at index first + k is `word`.
template <class Word, class Visit>
void for_each(uint64_t seed, const Table& table, size_t count, size_t first, const Visit& visit) {
  std::array<Word, kEntries> words;
  std::transform(table.begin(), table.end(), words.begin(), [](uint64_t bits) { return static_cast<Word>(bits); });
  const auto some = [&](size_t done, size_t elems) {
    const size_t lane = (first + done) % kLanes;
    const uint64_t entries = entries_of(seed, (first + done) / kLanes) >> (8 * lane);
    for (size_t k = 0; k < elems; ++k) visit(done + k, words[(entries >> (8 * k)) & 0xFF]);
  };
  size_t done = std::min((kLanes - first % kLanes) % kLanes, count);
  if (done > 0) some(0, done);
  for (; count - done >= kLanes; done += kLanes) some(done, kLanes);
  if (done < count) some(done, count - done);
}

template <class Word>
void fill_words(uint64_t seed, const Table& table, std::byte* data, size_t count, size_t first) {
  for_each<Word>(seed, table, count, first, [=](size_t k, Word word) { std::memcpy(data + k * sizeof(Word), &word, sizeof(Word)); });
}

template <class Word>
size_t count_wrong_words(uint64_t seed, const Table& table, const std::byte* data, size_t count, size_t first) {
  size_t wrong = 0;
  for_each<Word>(seed, table, count, first, [&wrong, data](size_t k, Word right) {
    Word word;
    std::memcpy(&word, data + k * sizeof(Word), sizeof(Word));
    wrong += word != right ? 1 : 0;
  });
  return wrong;
}

}  // namespace

Pattern::Pattern(uint64_t seed, int ranks, const DataType& type, const RedOp& op)
    : seed_(mix64(seed + 0x9E3779B97F4A7C15u)), ranks_(ranks), type_(type), op_(op), numbers_(static_cast<size_t>(ranks) * kEntries) {
  for (size_t entry = 0; entry < kEntries; ++entry) draw_entry(entry);
}

// Whoever comes first finds more left, so the ranks take turns at being first.
void Pattern::draw_entry(size_t entry) {
  const bool factors = op_.draw == Draw::kFactors;
  const uint64_t key = mix64(seed_ ^ mix64(entry + 1));
  const uint64_t all = factors ? static_cast<uint64_t>(type_.largest_power()) : type_.largest_exact();
  const uint64_t share = op_.draw == Draw::kAny ? all : std::max<uint64_t>(all / static_cast<uint64_t>(ranks_), 1);
  uint64_t left = all;
  for (int turn = 0; turn < ranks_; ++turn) {
    const int rank = static_cast<int>((key + static_cast<uint64_t>(turn)) % static_cast<uint64_t>(ranks_));
    const uint64_t hash = mix64(key + 0xD1B54A32D192ED03u * (static_cast<uint64_t>(rank) + 1));
    const uint64_t magnitude = std::min((hash >> 4) % (share + 1), left);
    if (op_.draw != Draw::kAny) left -= magnitude;
    const bool negative = (hash & 1) != 0 && type_.kind != Kind::kUnsigned, inverse = (hash & 2) != 0 && type_.kind == Kind::kFloat;
    double value = static_cast<double>(magnitude) * (op_.draw == Draw::kAny ? type_.grain() : 1);
    if (factors) value = std::ldexp(1.0, static_cast<int>(magnitude) * (inverse ? -1 : 1));
    number(rank, entry) = negative ? -value : value;
  }
}

double Pattern::reduction(size_t entry) const {
  double total = number(0, entry);
  for (int rank = 1; rank < ranks_; ++rank) total = op_.combine(total, number(rank, entry));
  return op_.averages ? average(type_, total, ranks_) : total;
}

Table Pattern::table(int source) const {
  Table table;
  for (size_t entry = 0; entry < kEntries; ++entry) {
    table[entry] = type_.encode(source == kReduction ? reduction(entry) : number(source, entry));
  }
  return table;
}

void Pattern::fill(const Table& table, std::byte* data, size_t count, size_t first) const {
  switch (type_.bytes) {
    case 1: return fill_words<uint8_t>(seed_, table, data, count, first);
    case 2: return fill_words<uint16_t>(seed_, table, data, count, first);
    case 4: return fill_words<uint32_t>(seed_, table, data, count, first);
    default: return fill_words<uint64_t>(seed_, table, data, count, first);
  }
}

size_t Pattern::count_wrong(const Table& table, const std::byte* data, size_t count, size_t first) const {
  switch (type_.bytes) {
    case 1: return count_wrong_words<uint8_t>(seed_, table, data, count, first);
    case 2: return count_wrong_words<uint16_t>(seed_, table, data, count, first);
    case 4: return count_wrong_words<uint32_t>(seed_, table, data, count, first);
    default: return count_wrong_words<uint64_t>(seed_, table, data, count, first);
  }
}

}  // namespace perf
