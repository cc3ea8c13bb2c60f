// A Machine as text for people, at most 80 columns wide.
// Threading: any thread.
#pragma once

#include <string>

#include "topology/machine.h"

namespace tutti {

std::string describe_machine(const Machine& machine);

}  // namespace tutti
