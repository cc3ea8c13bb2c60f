// tutti-topo probe: times messages between the ranks of the job that a launcher started this process in, and explains them by a graph.
// Threading: one thread.
#pragma once

#include <string>

namespace tutti::probe {

struct Options {
  int ranks = 0;      // > 0: start so many here, under tutti-run
  bool json = false;  // print the graph in place of the tables
  std::string file;   // rank 0 writes the graph there; empty: nowhere
};

// Returns the process's exit status: 0 all right, 1 a failed operation, 2 bad usage. Messages go to stderr, rank 0's results to stdout.
int probe(const Options& options);

}  // namespace tutti::probe
