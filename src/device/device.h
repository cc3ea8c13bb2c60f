// What a device can do with the buffers that it holds: copy, reduce and scale. The executor's only way to touch data.
//
// A device is asynchronous by contract: calls on its queues return when the work is issued, and state() tells later whether it has ended.
// A synchronous one (the host) needs no queue: immediate() does the work before it returns, at the cost of a direct call.
//
// Memory. All pointers of one call lie in the device's own memory or in the host's (a FIFO's slots do), never in another device's.
// Ordering. The work of one queue is carried out in the order of its calls; that of two queues in any order, or at once. What was issued
// sees what the issuing thread saw; once state() has said kFinished, the calling thread sees what the work wrote, and may reuse or free
// all that it read. Nothing else of an unfinished call may be read, written or freed.
// Errors. What a device finds wrong with issued work fails its queue: from then on the queue runs nothing, and touches nothing.
//
// Numbers, the same on every device and instruction set:
// - Integers wrap. Division truncates toward zero, after the exact wrapped result; so does multiplication by the scalar wrap.
// - float32 and float64 round to nearest even after each of scaling, operation and division; nothing is contracted to FMA.
// - 16- and 8-bit floats are widened exactly to float32, scaled, reduced and divided there, and rounded once, to nearest even.
//   float16, bfloat16 and float8_e5m2 overflow to infinity; float8_e4m3 (OCP: no infinity) saturates to +-448.
// - Minimum and maximum: NaN wins, and -0 < +0.
// - A result that is NaN is its type's one quiet NaN: float64 0x7ff8000000000000, float32 0x7fc00000, float16 0x7e00, bfloat16 0x7fc0,
//   float8_e5m2 0x7e, float8_e4m3 0x7f. Only copy(), and transform() with nothing to do, keep a NaN's bits.
// All this in the default floating-point environment (round to nearest, denormals kept).
//
// Threading: a Device's methods, and an immediate path's, from any thread at the same time; a queue's from one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace tutti {

enum class DataType : uint8_t {
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kBfloat16,
  kFloat32,
  kFloat64,
  kFloat8E4m3,
  kFloat8E5m2
};
inline constexpr int kDataTypes = 14;

// Average is kSum and a division at the end; premulsum is kSum of scaled inputs: see Arithmetic.
enum class Reduction : uint8_t { kSum, kProd, kMin, kMax };
inline constexpr int kReductions = 4;

inline size_t type_bytes(DataType type) {
  constexpr uint8_t kBytes[kDataTypes] = {1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 1, 1};
  return kBytes[static_cast<size_t>(type)];
}
const char* type_name(DataType type);      // "float8_e4m3"; the tools' spelling
const char* reduction_name(Reduction op);  // "sum"

// What one pass computes. Scaling multiplies a raw input by the scalar before the operation; what is a partial result already is not
// scaled again. Division completes an average.
struct Arithmetic {
  DataType type = DataType::kFloat32;
  Reduction op = Reduction::kSum;
  bool scale_a = false;                 // operand `a`, and the one of transform(), is raw
  bool scale_b = false;                 // operand `b` is raw
  bool divide = false;                  // divide the result by `divisor`
  uint32_t divisor = 1;                 // not 0. Floats divide by its value in float32 (float64: in float64)
  alignas(8) std::byte scalar[8] = {};  // its first type_bytes(type) bytes are one element of `type`
};

// Where results go: one or two places, written in one pass. `stream`: `first` will not be read soon, so write it past the caches.
struct Destination {
  void* first = nullptr;
  void* second = nullptr;  // nullptr: none
  bool stream = false;
};

// What carries out copies and reductions.
class DataPath {
 public:
  virtual ~DataPath() = default;

  // Every destination becomes the `bytes` bytes at `src`. Destinations do not overlap `src`, but for first == src, which is legal.
  virtual void copy(const Destination& to, const void* src, size_t bytes) = 0;

  // Every destination becomes a'[i] op b'[i], divided if so asked; ' means: scaled if so asked. 0 <= i < count.
  // A destination may be `a` or `b` itself, else overlaps neither. Pointers are aligned to the element.
  virtual void reduce(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic) = 0;

  // Every destination becomes src[i], scaled (scale_a) and divided if so asked; `op` and `scale_b` do not matter. A destination may be
  // `src` itself, else does not overlap it. Pointers are aligned to the element.
  virtual void transform(const Destination& to, const void* src, size_t count, const Arithmetic& arithmetic) = 0;
};

enum class QueueState : uint8_t {
  kBusy,
  kFinished,  // all that was issued has been carried out
  kFailed     // for good; failure() says why. Nothing that was issued is still at work
};

// A path whose calls return at once; they copy their arguments, and never block. The destructor's precondition: not kBusy.
class DeviceQueue : public DataPath {
 public:
  // Cheap, and asked often. Acquires what the finished work wrote.
  virtual QueueState state() = 0;
  // One sentence. Precondition: state() has said kFailed.
  virtual std::string failure() const = 0;
};

// Capability bits.
enum DeviceAbility : uint32_t {
  kDeviceQueues = 1u << 0,       // asynchronous: make_queue() gives paths; immediate() is nullptr. Without it: the other way round
  kDeviceHostTouches = 1u << 1,  // the host may read and write the device's memory
};

class Device {
 public:
  virtual ~Device() = default;

  // Both constant. The name is what users choose it by, and unique in its process; devices of one vendor may reach each other's memory.
  virtual const char* name() const = 0;
  virtual const char* vendor() const = 0;
  virtual uint32_t abilities() const = 0;
  // Where the device is ("0000:3b:00.0"), by which its place in the machine is found; constant. Empty: unknown, or no PCI device.
  virtual std::string pci_id() const { return {}; }

  // The path of a synchronous device, which lives as long as the device; see kDeviceQueues.
  virtual DataPath* immediate() { return nullptr; }

  // A new queue of an asynchronous device, the caller's; nullptr of a synchronous one. Errors: kSystem.
  virtual Result<std::unique_ptr<DeviceQueue>> make_queue() { return std::unique_ptr<DeviceQueue>(); }

  // Memory of the device, aligned to kDeviceAlignment. nullptr: there is not that much. free() takes nullptr too; no unfinished work may
  // use the memory.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* memory) = 0;

  // Whether `p` points into memory of the device that the host cannot touch.
  virtual bool holds(const void* p) const = 0;
};

inline constexpr size_t kDeviceAlignment = 64;

inline bool has(const Device& device, DeviceAbility ability) {
  return (device.abilities() & ability) != 0;
}

// Copies between memories and waits for the end, at most `bound_s`. Where that passes, the device may still write to `to`. Blocks.
// Errors: kTimeout, kSystem (the device failed).
Status copy_and_wait(Device& device, void* to, const void* from, size_t bytes, double bound_s);

// Waits, at most `bound_s`, until the queue is not busy. Errors: kTimeout. A failed queue is no error here.
Status wait_for(DeviceQueue& queue, const Device& device, double bound_s);

// A device whose calls complete on return.
class SynchronousDevice : public DataPath, public Device {
 public:
  DataPath* immediate() override { return this; }
};

// Ordinary memory and the CPU's vector units. One for the process.
SynchronousDevice& host_device();

}  // namespace tutti
