// Starts the ranks of a tool on this host. Threading: one thread.
#pragma once

#include <string>
#include <vector>

namespace tutti {

// Becomes tutti-run (the one beside this program, else that of PATH), which starts this program `ranks` times with `arguments`. Does not
// return; throws std::runtime_error where it cannot be started.
[[noreturn]] void become_launcher(int ranks, const std::vector<std::string>& arguments);

}  // namespace tutti
