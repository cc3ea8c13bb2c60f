// Bytes of a test in the memory of whatever device, and back.
// Threading: value types, as a vector.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

#include "device/device.h"
#include "tests/support/eventually.h"

namespace tutti {

// A std::vector<std::byte> that may be moved to a device: data() is where it lies, contents() what it holds.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  DeviceBuffer(std::vector<std::byte> bytes, Device* device) : bytes_(std::move(bytes)) { move_to(device); }
  DeviceBuffer(const DeviceBuffer& other) : DeviceBuffer(other.contents(), other.device_) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceBuffer() {
    if (device_ != nullptr) device_->free(there_);
  }

  // nullptr, or a device whose memory the host may touch: it stays.
  void move_to(Device* device) {
    if (device == nullptr || has(*device, kDeviceHostTouches) || device_ != nullptr) return;
    there_ = device->allocate(bytes_.size());
    if (there_ == nullptr) throw std::runtime_error("no more memory on the device");
    device_ = device;
    copy(there_, bytes_.data());
  }

  size_t size() const { return bytes_.size(); }
  std::byte* data() { return device_ != nullptr ? static_cast<std::byte*>(there_) : bytes_.data(); }
  std::vector<std::byte> contents() const {
    std::vector<std::byte> bytes = bytes_;
    if (device_ != nullptr) copy(bytes.data(), there_);
    return bytes;
  }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(device_, other.device_);
    std::swap(there_, other.there_);
  }
  void copy(void* to, const void* from) const {
    const Status status = copy_and_wait(*device_, to, from, bytes_.size(), kTestPatience_s);
    if (!status.ok()) throw std::runtime_error(status.message());
  }

  std::vector<std::byte> bytes_;
  Device* device_ = nullptr;
  void* there_ = nullptr;
};

}  // namespace tutti
