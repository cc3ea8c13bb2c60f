// The transports that the conformance suite holds to transport.h. To add one: a line in the list.
// Threading: immutable.
#pragma once

#include <memory>
#include <ostream>

#include "executor/transport.h"
#include "transports/shm/shm_transport.h"
#include "transports/tcp/tcp_transport.h"

namespace tutti {

struct TransportFixture {
  const char* name;
  // Rank `rank` of `nranks`, all of this host, in one process or in several.
  Result<std::unique_ptr<Transport>> (*make)(int rank, int nranks, const FifoShapes& shapes, const Key& key);
  bool derives = false;  // kAbilityDerive
};

inline void PrintTo(const TransportFixture& fixture, std::ostream* out) {
  *out << fixture.name;
}  // for GoogleTest

inline std::shared_ptr<MemoryBudget> test_budget(size_t bytes = size_t{1} << 30) {
  return std::make_shared<MemoryBudget>(bytes);
}

inline constexpr TransportFixture kTransportsUnderTest[] = {
    {"shm",
     [](int rank, int nranks, const FifoShapes& shapes, const Key& key) {
       return make_shm_transport(rank, nranks, shapes, key, test_budget());
     },
     true},
    {"tcp", [](int rank, int nranks, const FifoShapes& shapes,
               const Key& key) { return make_tcp_transport(rank, nranks, shapes, {.interfaces = "lo"}, key, test_budget()); }},
};

}  // namespace tutti
