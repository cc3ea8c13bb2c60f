// Who listens in this network namespace, and what those processes hold: from /proc. Threading: pure functions.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace tutti::hostile {

struct Listeners {
  std::set<uint16_t> ports;      // TCP
  std::set<std::string> names;   // abstract Unix sockets of Tutti's, without the leading 0
  std::set<uint64_t> inodes;     // of all these
};
Listeners find_listeners();

struct Held {
  size_t descriptors = 0;
  size_t memory_kib = 0;  // resident
  size_t listeners = 0;
};
// By process. This one is none of them.
std::map<pid_t, Held> find_victims(const Listeners& listeners);

}  // namespace tutti::hostile
