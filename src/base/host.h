// Who and where this process is: host name, node identity, cores it may use.
// Threading: any thread.
#pragma once

#include <string>

namespace tutti {

std::string host_name();

// Equal exactly for processes that may share memory: boot id and network namespace (a container with its own network is its own node).
std::string node_identity();

// Cores that this thread may run on.
int allowed_cores();

}  // namespace tutti
