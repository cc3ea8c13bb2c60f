// What the forked ranks of a test share: the unique id. Threading: made before the fork.
#pragma once

#include "tests/support/api_fork.h"
#include "tutti/tutti.h"

namespace tutti::test {

// What the ranks of a test share: rank 0 makes the id and hands it to the others.
struct Job {
  explicit Job(int n) : nranks(n) {}

  tuttiUniqueId id_for(int rank) {
    if (rank != 0) return ids.get<tuttiUniqueId>();
    tuttiUniqueId id;
    EXPECT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
    for (int other = 1; other < nranks; ++other) ids.put(id);
    return id;
  }

  tuttiComm_t init(int rank, const tuttiConfig_t* config = nullptr) {
    tuttiComm_t comm = nullptr;
    EXPECT_EQ(tuttiCommInitRankConfig(&comm, nranks, id_for(rank), rank, config), tuttiSuccess) << tuttiGetLastError(nullptr);
    return comm;
  }

  int nranks;
  Pipe ids;
};

}  // namespace tutti::test
