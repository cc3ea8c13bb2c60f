#include "device/devices.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace tutti {
namespace {

struct Devices {
  std::mutex mutex;
  std::vector<Device*> list = {&host_device()};  // guarded by mutex
};

Devices& devices() {
  static auto* const instance = new Devices;  // never destroyed: a communicator may be made at exit
  return *instance;
}

std::string names_of(const std::vector<Device*>& list) {
  std::string names;
  for (const Device* device : list) names += (names.empty() ? "" : ", ") + std::string(device->name());
  return names;
}

Device* find(const std::vector<Device*>& list, std::string_view name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Device* device) { return device->name() == name; });
  return found == list.end() ? nullptr : *found;
}

}  // namespace

Result<Device*> find_device(std::string_view name) {
  std::lock_guard lock(devices().mutex);
  if (Device* const found = find(devices().list, name)) return found;
  return Status(Code::kInvalidArgument,
                "there is no device '" + std::string(name) + "' (config->device): there are " + names_of(devices().list));
}

std::string device_names() {
  std::lock_guard lock(devices().mutex);
  return names_of(devices().list);
}

Status add_device(Device& device) {
  std::lock_guard lock(devices().mutex);
  if (find(devices().list, device.name()) != nullptr)
    return {Code::kInvalidArgument, "there is a device '" + std::string(device.name()) + "' already"};
  devices().list.push_back(&device);
  return {};
}

void remove_device(Device& device) {
  std::lock_guard lock(devices().mutex);
  std::erase(devices().list, &device);
}

}  // namespace tutti
