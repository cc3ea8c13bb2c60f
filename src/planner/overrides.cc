#include "planner/overrides.h"

#include <bit>
#include <limits>

namespace tutti {
namespace {

bool fits_inline(size_t bytes, size_t inline_bytes) {
  return inline_bytes != 0 && bytes <= inline_bytes;
}

}  // namespace

TunedKey tuned_key(const PlanRequest& request, size_t bytes, uint32_t type_bytes, size_t inline_bytes) {
  const auto size_class = static_cast<uint64_t>(bytes == 0 ? 0 : std::bit_width(bytes - 1) + 1);
  return {.request = static_cast<uint64_t>(request.root) << 16 | static_cast<uint64_t>(request.collective) << 8 |
                     uint64_t{request.uneven} << 1 | uint64_t{request.rank_ordered},
          .size = uint64_t{type_bytes} << 16 | size_class << 1 | uint64_t{fits_inline(bytes, inline_bytes)}};
}

size_t asked_bytes(size_t bytes, size_t inline_bytes) {
  if (bytes == 0) return 0;
  constexpr size_t kTop = std::numeric_limits<size_t>::max();
  const auto width = static_cast<int>(std::bit_width(bytes - 1));
  const size_t most = width >= std::numeric_limits<size_t>::digits ? kTop : size_t{1} << width;
  return fits_inline(bytes, inline_bytes) ? std::min(most, inline_bytes) : most;
}

int Overrides::plan_for(const PlanRequest& request, size_t bytes) const {
  for (size_t i = plans_.size(); i-- > 0;) {
    if (plans_[i]->serves(request, bytes)) return static_cast<int>(i);
  }
  return -1;
}

void Overrides::use_tuner(std::unique_ptr<Tuner> tuner) {
  tuner_ = std::move(tuner);
  tuned_ = true;
}

const PlanChoice* Overrides::decided(const TunedKey& key) const {
  const auto found = decided_.find(key);
  return found == decided_.end() ? nullptr : &found->second;
}

void Overrides::decide(const TunedKey& key, const PlanChoice& choice) {
  decided_.insert_or_assign(key, choice);
  to_hand_out_.push_back({key, choice});
}

}  // namespace tutti
