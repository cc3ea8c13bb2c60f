// The names and sizes of types and reductions; waiting for a device.
#include "device/device.h"

#include <chrono>
#include <thread>

namespace tutti {

const char* type_name(DataType type) {
  switch (type) {
    case DataType::kInt8: return "int8";
    case DataType::kInt16: return "int16";
    case DataType::kInt32: return "int32";
    case DataType::kInt64: return "int64";
    case DataType::kUint8: return "uint8";
    case DataType::kUint16: return "uint16";
    case DataType::kUint32: return "uint32";
    case DataType::kUint64: return "uint64";
    case DataType::kFloat16: return "float16";
    case DataType::kBfloat16: return "bfloat16";
    case DataType::kFloat32: return "float32";
    case DataType::kFloat64: return "float64";
    case DataType::kFloat8E4m3: return "float8_e4m3";
    case DataType::kFloat8E5m2: return "float8_e5m2";
  }
  return "unknown";
}

const char* reduction_name(Reduction op) {
  switch (op) {
    case Reduction::kSum: return "sum";
    case Reduction::kProd: return "prod";
    case Reduction::kMin: return "min";
    case Reduction::kMax: return "max";
  }
  return "unknown";
}

Status wait_for(DeviceQueue& queue, const Device& device, double bound_s) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(bound_s);
  while (queue.state() == QueueState::kBusy) {
    if (std::chrono::steady_clock::now() > end) {
      return {Code::kTimeout,
              std::string("device ") + device.name() + " did not finish what was issued to it within " + std::to_string(bound_s) + " s"};
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return {};
}

Status copy_and_wait(Device& device, void* to, const void* from, size_t bytes, double bound_s) {
  if (DataPath* const path = device.immediate()) {
    path->copy({.first = to}, from, bytes);
    return {};
  }
  Result<std::unique_ptr<DeviceQueue>> queue = device.make_queue();
  if (!queue.ok()) return queue.status();
  (*queue)->copy({.first = to}, from, bytes);
  if (Status status = wait_for(**queue, device, bound_s); !status.ok()) {
    static_cast<void>(queue->release());  // busy: to destroy it would not be legal
    return status;
  }
  if ((*queue)->state() == QueueState::kFailed) return {Code::kSystem, std::string("device ") + device.name() + ": " + (*queue)->failure()};
  return {};
}

}  // namespace tutti
