// The host as a device: memcpy and one instruction set's kernels (kernels.h). Stateless.
#include "device/host/host_device.h"

#include <cstdlib>
#include <cstring>

#include "device/host/kernels.h"

namespace tutti {
namespace {

class HostDevice final : public SynchronousDevice {
 public:
  explicit HostDevice(const HostKernels& kernels) : kernels_(kernels) {}

  const char* name() const override { return "host"; }
  const char* vendor() const override { return "host"; }
  uint32_t abilities() const override { return kDeviceHostTouches; }
  void* allocate(size_t bytes) override {
    return std::aligned_alloc(kDeviceAlignment, (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment);
  }
  void free(void* memory) override { std::free(memory); }
  bool holds(const void* /*p*/) const override { return false; }

  void copy(const Destination& to, const void* src, size_t bytes) override {
    if (to.second == nullptr && !to.stream) {
      if (to.first != src) std::memcpy(to.first, src, bytes);
    } else {
      kernels_.copy(to, src, bytes);
    }
  }

  void reduce(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic) override {
    const auto type = static_cast<int>(arithmetic.type);
    if (!arithmetic.scale_a && !arithmetic.scale_b && !arithmetic.divide) {
      kernels_.reduce[type][static_cast<int>(arithmetic.op)](to, a, b, count);
    } else {
      kernels_.arithmetic[type](to, a, b, count, arithmetic);
    }
  }

  void transform(const Destination& to, const void* src, size_t count, const Arithmetic& arithmetic) override {
    if (!arithmetic.scale_a && !arithmetic.divide) return copy(to, src, count * type_bytes(arithmetic.type));
    kernels_.arithmetic[static_cast<int>(arithmetic.type)](to, src, nullptr, count, arithmetic);
  }

 private:
  const HostKernels kernels_;
};

}  // namespace

std::vector<std::string_view> host_instruction_sets() {
  std::vector<std::string_view> names;
  for (const HostKernels& kernels : host_kernels()) names.emplace_back(kernels.name);
  return names;
}

std::unique_ptr<SynchronousDevice> make_host_device(std::string_view instruction_set) {
  for (const HostKernels& kernels : host_kernels()) {
    if (kernels.name == instruction_set) return std::make_unique<HostDevice>(kernels);
  }
  return nullptr;
}

SynchronousDevice& host_device() {
  static HostDevice device(host_kernels().front());
  return device;
}

}  // namespace tutti
