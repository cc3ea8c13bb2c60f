// The devices of this process, by the names that a rank chooses one by: the host, and what was added.
// Threading: any thread.
#pragma once

#include <string>
#include <string_view>

#include "device/device.h"

namespace tutti {

// Errors: kInvalidArgument (there is none of that name; the message lists those that there are).
Result<Device*> find_device(std::string_view name);

// "host, test_a, test_b".
std::string device_names();

// Adds a device, which is borrowed: it must outlive its removal and every communicator that uses it. The library adds none; tests do.
// Errors: kInvalidArgument (the name is taken).
Status add_device(Device& device);
void remove_device(Device& device);

}  // namespace tutti
