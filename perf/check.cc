// See check.h.
#include "check.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "pattern.h"

namespace perf {
namespace {

constexpr unsigned char kCanary = 0xA5;

size_t count_changed(const std::byte* zone, size_t bytes, size_t elem_bytes) {
  unsigned char canary[64];
  std::memset(canary, kCanary, sizeof(canary));
  size_t changed = 0;
  for (size_t at = 0; at + elem_bytes <= bytes; at += elem_bytes) changed += std::memcmp(zone + at, canary, elem_bytes) != 0 ? 1 : 0;
  return changed;
}

// One checked iteration of one rank: what lies where, prepared, then verified.
class CheckedCall {
 public:
  CheckedCall(const Workload& work, size_t iteration, uint64_t seed)
      : work_(work),
        call_(work.operation.call(iteration)),
        layout_(call_.layout),
        elem_bytes_(work.type->bytes),
        pattern_(seed, call_.place.ranks, *work.type, *work.op),
        mine_(pattern_.table(call_.place.rank)) {
    const bool apart = work.input != nullptr;
    output_ = work.output->data() + (apart ? 0 : layout_.recv_at) * elem_bytes_;
    input_ = apart ? work.input->data() : work.output->data() + layout_.send_at * elem_bytes_;
    const size_t send_end = layout_.send_at + layout_.send_elems, recv_end = layout_.recv_at + layout_.recv_elems;
    output_bytes_ = (apart ? layout_.recv_elems : layout_.in_place_elems()) * elem_bytes_;
    input_bytes_ = layout_.send_elems * elem_bytes_;
    if (apart || layout_.recv_elems == 0) {
      expect_unchanged(layout_.send_at, send_end);
    } else {  // but for what the output covers
      expect_unchanged(layout_.send_at, std::min(send_end, layout_.recv_at));
      expect_unchanged(std::max(layout_.send_at, recv_end), send_end);
    }
  }

  // Every expected element is poisoned with all its bits inverted, so that one that nobody writes is wrong, whatever the type.
  void prepare() {
    work_.output->set_guards(output_bytes_);
    if (work_.input != nullptr) work_.input->set_guards(input_bytes_);
    for (const Expectation& e : layout_.expected) {
      Table poison = pattern_.table(e.source);
      for (uint64_t& bits : poison) bits = ~bits;
      pattern_.fill(poison, output_ + e.offset * elem_bytes_, e.elems, e.first_index);
    }
    pattern_.fill(mine_, input_, layout_.send_elems, 0);
  }

  void damage() {
    if (layout_.recv_elems > 0) *output_ ^= std::byte{1};
  }

  Findings verify() const {
    Findings findings;
    for (const Expectation& e : layout_.expected) findings.wrong += count_wrong("output", output_, pattern_.table(e.source), e);
    for (const Expectation& e : unchanged_) findings.wrong += count_wrong("input", input_, mine_, e);
    findings.out_of_bounds = work_.output->broken_guards(output_bytes_, elem_bytes_);
    if (work_.input != nullptr) findings.out_of_bounds += work_.input->broken_guards(input_bytes_, elem_bytes_);
    if (findings.out_of_bounds != 0) {
      complain(work_, call_, std::to_string(findings.out_of_bounds) + " values beside a buffer were overwritten");
    }
    findings.wrong += findings.out_of_bounds;
    return findings;
  }

 private:
  // [first, end) of the one buffer, or of the input as if it began at send_at in one; it may be empty.
  void expect_unchanged(size_t first, size_t end) {
    const size_t index = first - layout_.send_at;
    if (first < end) unchanged_.push_back({index, end - first, index, call_.place.rank});
  }

  // The elements that are wrong, and a line about the first of them.
  size_t count_wrong(const char* what, const std::byte* buffer, const Table& table, const Expectation& e) const {
    const std::byte* data = buffer + e.offset * elem_bytes_;
    const size_t wrong = pattern_.count_wrong(table, data, e.elems, e.first_index);
    if (wrong == 0) return 0;
    size_t low = 0, high = e.elems;  // the first wrong one is in [low, high)
    while (high - low > 1) {
      const size_t middle = low + (high - low) / 2;
      const size_t left = pattern_.count_wrong(table, data + low * elem_bytes_, middle - low, e.first_index + low);
      (left != 0 ? high : low) = middle;
    }
    alignas(8) std::byte right[8];
    pattern_.fill(table, right, 1, e.first_index + low);
    complain(work_, call_,
             std::string(what) + " element " + std::to_string(e.offset + low) + " is " + describe(data + low * elem_bytes_) +
                 " and should be " + describe(right) + "; " + std::to_string(wrong) + " of " + std::to_string(e.elems) + " are wrong");
    return wrong;
  }

  std::string describe(const std::byte* element) const { return work_.type->describe(element); }

  const Workload& work_;
  const Call& call_;
  const Layout& layout_;
  size_t elem_bytes_;
  Pattern pattern_;
  Table mine_;
  std::byte* output_;
  std::byte* input_;
  size_t output_bytes_;  // in place: of the one buffer
  size_t input_bytes_;
  std::vector<Expectation> unchanged_;  // of the input
};

}  // namespace

void complain(const Workload& work, const Call& call, const std::string& message) {
  std::string root = work.operation.collective->rooted ? ", root " + std::to_string(call.place.root) : "";
  std::fprintf(stderr, "tutti-perf: rank %d: %s of %zu bytes %s%s: %s\n", call.place.rank, work.operation.collective->name.data(),
               work.shape.bytes, call.in_place ? "in place" : "out of place", root.c_str(), message.c_str());
}

GuardedBuffer::GuardedBuffer(size_t capacity_bytes) : base_(nullptr), mapped_bytes_(capacity_bytes + 2 * kGuardBytes) {
  void* memory = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw Failure("cannot map a buffer of " + std::to_string(mapped_bytes_) + " bytes: " + std::strerror(errno));
  }
  base_ = static_cast<std::byte*>(memory);
  std::memset(base_, 1, mapped_bytes_);  // page faults happen here, not while a clock runs
}

GuardedBuffer::~GuardedBuffer() {
  munmap(base_, mapped_bytes_);
}

void GuardedBuffer::clear(size_t bytes) {
  std::memset(data(), 0, bytes);
}

void GuardedBuffer::set_guards(size_t bytes) {
  std::memset(base_, kCanary, kGuardBytes);
  std::memset(data() + bytes, kCanary, kGuardBytes);
}

size_t GuardedBuffer::broken_guards(size_t bytes, size_t elem_bytes) const {
  return count_changed(base_, kGuardBytes, elem_bytes) + count_changed(data() + bytes, kGuardBytes, elem_bytes);
}

Findings run_checked(const Workload& work, size_t iteration, uint64_t seed, bool inject) {
  CheckedCall checked(work, iteration, seed);
  checked.prepare();
  work.operation.run(iteration);
  if (inject) checked.damage();
  return checked.verify();
}

}  // namespace perf
