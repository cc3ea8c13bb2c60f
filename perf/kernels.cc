// tutti-kernels: how fast the host device reduces, for each type and operation, beside memcpy and a plain vector addition on buffers of the
// same size. It measures the library's inside (src/device), one thread, and takes about a minute.
//
// Usage: tutti-kernels [--set NAME] [--type NAME] [--op NAME] [--in-place] [--stream] [--second] [--scale] [--divide N] [--seconds S]
// A figure is GB/s of one buffer's bytes, and in brackets its percentage of the addition's, which is measured in turn with it (the
// upper decile of rounds): c = a + b, or a += b with --in-place. --stream and --second are Destination's; --scale and --divide do all of Arithmetic.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "device/host/host_device.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kSizes[] = {16 << 10, 64 << 10, 1 << 20, 64 << 20};

struct Options {
  std::string set, type, op;
  bool in_place = false, stream = false, second = false, scale = false;
  uint32_t divide = 0;
  double seconds = 0.05;  // for one figure
};

// What memory allows: as few instructions as possible. Vectors of 64 bytes, which the compiler cuts where they are shorter.
typedef float Line __attribute__((vector_size(64), aligned(4), may_alias));

__attribute__((always_inline)) inline void add_lines(float* c, const float* a, const float* b, size_t bytes) {
  for (size_t i = 0; i < bytes / sizeof(float); i += 64) {
    for (size_t j = i; j < i + 64; j += 16) {
      *reinterpret_cast<Line*>(c + j) = *reinterpret_cast<const Line*>(a + j) + *reinterpret_cast<const Line*>(b + j);
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void add_avx512(float* c, const float* a, const float* b, size_t bytes) { add_lines(c, a, b, bytes); }
__attribute__((target("avx2"))) void add_avx2(float* c, const float* a, const float* b, size_t bytes) { add_lines(c, a, b, bytes); }
#endif

void add_plainly(float* c, const float* a, const float* b, size_t bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return add_avx512(c, a, b, bytes);
  if (__builtin_cpu_supports("avx2")) return add_avx2(c, a, b, bytes);
#endif
  add_lines(c, a, b, bytes);
}

class Buffers {
 public:
  explicit Buffers(size_t bytes) : bytes_(bytes) {
    for (auto& buffer : buffers_) {
      buffer.reset(static_cast<std::byte*>(std::aligned_alloc(4096, bytes)));
      if (buffer == nullptr) std::abort();
    }
    // The same bits whatever the type: none of them is NaN or denormal, and sums in place stay so for a while.
    for (auto& buffer : buffers_) std::memset(buffer.get(), 0x31, bytes);
  }
  size_t bytes() const { return bytes_; }
  std::byte* operator[](size_t i) const { return buffers_[i].get(); }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  size_t bytes_;
  std::unique_ptr<std::byte, Free> buffers_[4];
};

// The rate that a tenth of the rounds exceed: what the loop can do, when nobody else has the core.
double upper_decile(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 9 / 10];
}

struct Rates {
  double reference, subject;  // GB/s
};

// Takes turns of 4 MiB or one call each until the time is over.
template <class Reference, class Subject>
Rates compare(size_t bytes, double seconds, const Reference& reference, const Subject& subject) {
  const size_t calls = std::max<size_t>(1, (4 << 20) / bytes);
  const auto rate = [&](const auto& work) {
    const Clock::time_point start = Clock::now();
    for (size_t i = 0; i < calls; ++i) work();
    return static_cast<double>(calls * bytes) * 1e-9 / std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<double> references, subjects;
  rate(reference);
  rate(subject);
  const Clock::time_point start = Clock::now();
  do {
    references.push_back(rate(reference));
    subjects.push_back(rate(subject));
  } while (references.size() < 5 || std::chrono::duration<double>(Clock::now() - start).count() < seconds);
  return {upper_decile(references), upper_decile(subjects)};
}

void print_row(const std::string& label, const std::vector<Rates>& row) {
  std::printf("%-24s", label.c_str());
  for (const Rates& rates : row) std::printf("  %7.1f (%3.0f%%)", rates.subject, 100 * rates.subject / rates.reference);
  std::printf("\n");
  std::fflush(stdout);
}

template <class Work>
void measure(const std::string& label, const std::vector<Buffers>& sizes, const Options& options, const Work& work) {
  std::vector<Rates> row;
  for (const Buffers& buffers : sizes) {
    std::byte* const result = options.in_place ? buffers[0] : buffers[2];
    const auto reference = [&] {
      add_plainly(reinterpret_cast<float*>(result), reinterpret_cast<const float*>(buffers[0]), reinterpret_cast<const float*>(buffers[1]),
                  buffers.bytes());
    };
    row.push_back(compare(buffers.bytes(), options.seconds, reference, [&] { work(result, buffers); }));
  }
  print_row(label, row);
}

int run(const Options& options) {
  const std::string set(options.set.empty() ? tutti::host_instruction_sets().front() : options.set);
  const std::unique_ptr<tutti::SynchronousDevice> device = tutti::make_host_device(set);
  if (device == nullptr) {
    std::fprintf(stderr, "tutti-kernels: this CPU does not run \"%s\"\n", set.c_str());
    return 2;
  }
  std::vector<Buffers> sizes;
  for (const size_t bytes : kSizes) sizes.emplace_back(bytes);
  std::printf("%-24s  %14s  %14s  %14s  %14s   GB/s of a buffer (of addition)\n", set.c_str(), "16K", "64K", "1M", "64M");
  measure("memcpy", sizes, options, [](std::byte*, const Buffers& buffers) { std::memcpy(buffers[2], buffers[0], buffers.bytes()); });
  for (int t = 0; t < tutti::kDataTypes; ++t) {
    const auto type = static_cast<tutti::DataType>(t);
    if (!options.type.empty() && options.type != tutti::type_name(type)) continue;
    for (int r = 0; r < tutti::kReductions; ++r) {
      const auto op = static_cast<tutti::Reduction>(r);
      if (!options.op.empty() && options.op != tutti::reduction_name(op)) continue;
      tutti::Arithmetic arithmetic = {.type = type, .op = op, .scale_b = options.scale, .divide = options.divide != 0};
      arithmetic.divisor = std::max(options.divide, 1u);
      std::memset(arithmetic.scalar, 0x30, sizeof arithmetic.scalar);
      measure(std::string(tutti::type_name(type)) + ' ' + tutti::reduction_name(op), sizes, options,
              [&](std::byte* result, const Buffers& buffers) {
                const tutti::Destination to = {.first = result, .second = options.second ? buffers[3] : nullptr, .stream = options.stream};
                device->reduce(to, buffers[0], buffers[1], buffers.bytes() / tutti::type_bytes(type), arithmetic);
              });
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&]() -> const char* {
      if (i + 1 == argc) {
        std::fprintf(stderr, "tutti-kernels: %s needs a value\n", arg.c_str());
        std::exit(2);
      }
      return argv[++i];
    };
    if (arg == "--set") options.set = value();
    else if (arg == "--type") options.type = value();
    else if (arg == "--op") options.op = value();
    else if (arg == "--in-place") options.in_place = true;
    else if (arg == "--stream") options.stream = true;
    else if (arg == "--second") options.second = true;
    else if (arg == "--scale") options.scale = true;
    else if (arg == "--divide") options.divide = static_cast<uint32_t>(std::strtoul(value(), nullptr, 10));
    else if (arg == "--seconds") options.seconds = std::strtod(value(), nullptr);
    else {
      std::fprintf(stderr, "tutti-kernels: unknown argument \"%s\"; the usage is at the top of perf/kernels.cc\n", arg.c_str());
      return 2;
    }
  }
  return run(options);
}
