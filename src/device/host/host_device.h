// The host device bound to one instruction set, for tests and measurements; all else uses host_device(), which is the best of them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "device/device.h"

namespace tutti {

// What this CPU runs, best first: of "avx512", "avx2", "static", "baseline".
std::vector<std::string_view> host_instruction_sets();

// nullptr where this CPU does not run it.
std::unique_ptr<SynchronousDevice> make_host_device(std::string_view instruction_set);

}  // namespace tutti
