// A choice in one word, so that ranks may compare what they chose without cost: the word travels in the signature of every message, and
// is told to who asks what a rank is doing. Equal choices have equal words on every rank of a build, other choices other words; but for
// what does not fit it (an algorithm of another's making, huge parameters), of which it holds a hash.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "plan/request.h"

namespace tutti {

// Never 0.
uint64_t choice_word(const PlanChoice& choice);

// "ring, 2 channels, staged". Any word may be described: it may come from a broken peer.
std::string describe_choice(uint64_t word);

}  // namespace tutti
