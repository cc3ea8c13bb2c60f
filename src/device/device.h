// What a device can do with the buffers that it holds: copy, reduce and scale. The executor's only way to touch data.
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
// Threading: every method may be called from any thread at the same time.
#pragma once

#include <cstddef>
#include <cstdint>

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

size_t type_bytes(DataType type);
const char* type_name(DataType type);       // "float8_e4m3"; the tools' spelling
const char* reduction_name(Reduction op);  // "sum"

// What one pass computes. Scaling multiplies a raw input by the scalar before the operation; what is a partial result already is not
// scaled again. Division completes an average.
struct Arithmetic {
  DataType type = DataType::kFloat32;
  Reduction op = Reduction::kSum;
  bool scale_a = false;               // operand `a`, and the one of transform(), is raw
  bool scale_b = false;               // operand `b` is raw
  bool divide = false;                // divide the result by `divisor`
  uint32_t divisor = 1;               // not 0. Floats divide by its value in float32 (float64: in float64)
  alignas(8) std::byte scalar[8] = {};  // its first type_bytes(type) bytes are one element of `type`
};

// Where results go: one or two places, written in one pass. `stream`: `first` will not be read soon, so write it past the caches.
struct Destination {
  void* first = nullptr;
  void* second = nullptr;  // nullptr: none
  bool stream = false;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;

  // Every destination becomes the `bytes` bytes at `src`. Destinations do not overlap `src`, but for first == src, which is legal.
  virtual void copy(const Destination& to, const void* src, size_t bytes) const = 0;

  // Every destination becomes a'[i] op b'[i], divided if so asked; ' means: scaled if so asked. 0 <= i < count.
  // A destination may be `a` or `b` itself, else overlaps neither. Pointers are aligned to the element.
  virtual void reduce(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic) const = 0;

  // Every destination becomes src[i], scaled (scale_a) and divided if so asked; `op` and `scale_b` do not matter. A destination may be
  // `src` itself, else does not overlap it. Pointers are aligned to the element.
  virtual void transform(const Destination& to, const void* src, size_t count, const Arithmetic& arithmetic) const = 0;
};

// Ordinary memory and the CPU's vector units. One for the process.
const Device& host_device();

}  // namespace tutti
