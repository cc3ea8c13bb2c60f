#include "plan/expressions.h"

#include <utility>

namespace tutti::verifier {

Expressions::Expressions(uint32_t nranks, uint32_t input_blocks, bool rank_ordered)
    : nranks_(nranks),
      words_((nranks + 63) / 64),
      input_blocks_(input_blocks),
      nleaves_(nranks * input_blocks),
      rank_ordered_(rank_ordered) {}

void Expressions::clear() {
  inner_.clear();
  contributors_.clear();
  known_.clear();
}

uint32_t Expressions::reduce(uint32_t left, uint32_t right) {
  if (!rank_ordered_ && left > right) std::swap(left, right);
  if (const uint32_t known = known_.find(uint64_t{left} << 32 | right); known != FlatMap::kAbsent) return known;
  if (block(left) != block(right) || common_rank(left, right) != kNoIndex) return kNoIndex;
  if (rank_ordered_ && last(left) + 1 != first(right)) return kNoIndex;
  return intern(left, right);
}

uint32_t Expressions::complete(uint32_t node) {
  return intern(node, node);
}

uint32_t Expressions::intern(uint32_t left, uint32_t right) {
  const auto next = static_cast<uint32_t>(nleaves_ + inner_.size());
  const uint32_t node = known_.get_or_insert(uint64_t{left} << 32 | right, next);
  if (node != next) return node;
  for (uint32_t word = 0; word < words_; ++word) contributors_.push_back(contributors(left, word) | contributors(right, word));
  inner_.push_back({left, right, block(left), first(left), last(right)});
  return node;
}

uint64_t Expressions::contributors(uint32_t node, uint32_t word) const {
  if (!is_leaf(node)) return contributors_[size_t{node - nleaves_} * words_ + word];
  const uint32_t rank = node / input_blocks_;
  return rank / 64 == word ? uint64_t{1} << rank % 64 : 0;
}

uint32_t Expressions::common_rank(uint32_t a, uint32_t b) const {
  for (uint32_t word = 0; word < words_; ++word) {
    const uint64_t both = contributors(a, word) & contributors(b, word);
    if (both != 0) return word * 64 + static_cast<uint32_t>(__builtin_ctzll(both));
  }
  return kNoIndex;
}

uint32_t Expressions::lacked_rank(uint32_t node) const {
  for (uint32_t word = 0; word < words_; ++word) {
    const uint64_t lacked = ~contributors(node, word);
    if (lacked == 0) continue;
    const uint32_t rank = word * 64 + static_cast<uint32_t>(__builtin_ctzll(lacked));
    return rank < nranks_ ? rank : kNoIndex;
  }
  return kNoIndex;
}

std::string Expressions::text(uint32_t node, int depth) const {
  constexpr int kDeepest = 6;
  if (is_leaf(node)) return std::to_string(node / input_blocks_);
  if (completed(node)) return text(inner(node).left, depth);
  if (depth == kDeepest) return "...";
  const std::string sum = text(inner(node).left, depth + 1) + " + " + text(inner(node).right, depth + 1);
  return depth == 0 ? sum : "(" + sum + ")";
}

}  // namespace tutti::verifier
