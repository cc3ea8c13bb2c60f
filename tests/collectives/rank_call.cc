#include "rank_call.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "random.h"

namespace tutti::test {
namespace {

constexpr size_t kGuardBytes = 64;
constexpr size_t kSpareElems = 16;  // of a buffer that the rank does not use
constexpr std::byte kUntouched{0xa5};

size_t total(const std::vector<size_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), size_t{0});
}

std::string hex(const std::byte* data, size_t bytes) {
  std::string text = "0x";
  char digits[3];
  for (size_t i = bytes; i-- > 0;) {
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(data[i]));
    text += digits;
  }
  return text;
}

}  // namespace

Layout random_layout(uint64_t seed) {
  Random random(seed);
  return {.in_place = random.one_in(2),
          .null_unused = random.one_in(2),
          .scatter_seed = random.one_in(2) ? 0 : random.next() | 1,
          .lead = random.one_in(2) ? 0 : random.below(size_t{9})};
}

RankCall::RankCall(std::shared_ptr<const Oracle> oracle, int rank, const Layout& layout)
    : oracle_(std::move(oracle)), rank_(rank), layout_(layout), elem_bytes_(info_of(oracle_->call().type).bytes) {
  in_place_ = layout_.in_place && can_be_in_place();
  input_ = make_side(input_counts(oracle_->call(), oracle_->nranks(), rank), mixed(layout_.scatter_seed, 1));
  output_ = make_side(output_counts(oracle_->call(), oracle_->nranks(), rank), mixed(layout_.scatter_seed, 2));
  if (in_place_) {
    // The side of one block lies where the other has this rank's.
    Side& smaller = input_.counts.size() < output_.counts.size() ? input_ : output_;
    const Side& larger = input_.counts.size() < output_.counts.size() ? output_ : input_;
    if (larger.counts.size() > 1 && smaller.counts.size() == 1) smaller.displs = {larger.displs[static_cast<size_t>(rank)]};
    smaller.extent = larger.extent;
  }
  Bytes send = make_buffer(input_);
  write(send, input_, oracle_->input(rank));
  send_ = DeviceBuffer(std::move(send));
  if (!in_place_) recv_ = DeviceBuffer(make_buffer(output_));
}

RankCall::Side RankCall::make_side(std::vector<size_t> counts, uint64_t seed) const {
  Side side{.counts = std::move(counts), .displs = {}, .scattered = false, .extent = 0};
  const size_t blocks = side.counts.size();
  side.displs.resize(blocks);
  side.scattered = is_uneven(oracle_->call().kind) && layout_.scatter_seed != 0 && blocks > 1;
  std::vector<size_t> order(blocks);
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(seed);
  if (side.scattered) random.shuffle(order);
  for (const size_t block : order) {
    if (side.scattered) side.extent += random.below(size_t{4});
    side.displs[block] = side.extent;
    side.extent += side.counts[block];
  }
  return side;
}

bool RankCall::can_be_in_place() const {
  switch (oracle_->call().kind) {
    case Kind::kAllToAll:
    case Kind::kAllToAllV:
    case Kind::kBarrier: return false;
    case Kind::kGather:
    case Kind::kGatherV:
    case Kind::kScatter:
    case Kind::kScatterV: return rank_ == oracle_->call().root;
    default: return true;
  }
}

Bytes RankCall::make_buffer(const Side& side) const {
  const size_t elems = side.counts.empty() ? std::max(kSpareElems, side.extent) : side.extent;
  return Bytes(2 * kGuardBytes + (layout_.lead + elems) * elem_bytes_, kUntouched);
}

void RankCall::write(Bytes& buffer, const Side& side, const Bytes& packed) const {
  const std::byte* from = packed.data();
  for (size_t block = 0; block < side.counts.size(); ++block) {
    const size_t bytes = side.counts[block] * elem_bytes_;
    std::copy(from, from + bytes, buffer.data() + kGuardBytes + (layout_.lead + side.displs[block]) * elem_bytes_);
    from += bytes;
  }
}

void* RankCall::pointer(DeviceBuffer& buffer, const Side& side, size_t at) const {
  if (layout_.null_unused && !in_place_ && total(side.counts) == 0) return nullptr;
  return buffer.data() + kGuardBytes + (layout_.lead + at) * elem_bytes_;
}

tuttiResult_t RankCall::issue(const Member& member, tuttiStream_t stream) {
  send_.move_to(member.device);
  recv_.move_to(member.device);
  // A side of one block is named by where the block lies, one of several by where the buffer begins.
  const auto start = [](const Side& side) { return side.counts.size() == 1 ? side.displs.front() : 0; };
  const void* const send = pointer(send_, input_, start(input_));
  void* const recv = pointer(in_place_ ? send_ : recv_, output_, start(output_));
  return is_uneven(oracle_->call().kind) ? issue_uneven(member, send, recv, stream) : issue_even(member, send, recv, stream);
}

tuttiResult_t RankCall::issue_even(const Member& member, const void* send, void* recv, tuttiStream_t stream) const {
  const Call& call = oracle_->call();
  tuttiComm_t comm = member.comm;
  switch (call.kind) {
    case Kind::kAllReduce: return tuttiAllReduce(send, recv, call.count, call.type, member.op(call), comm, stream);
    case Kind::kAllGather: return tuttiAllGather(send, recv, call.count, call.type, comm, stream);
    case Kind::kReduceScatter: return tuttiReduceScatter(send, recv, call.count, call.type, member.op(call), comm, stream);
    case Kind::kBroadcast:
      if (in_place_ && layout_.null_unused) return tuttiBcast(recv, call.count, call.type, call.root, comm, stream);
      return tuttiBroadcast(send, recv, call.count, call.type, call.root, comm, stream);
    case Kind::kReduce: return tuttiReduce(send, recv, call.count, call.type, member.op(call), call.root, comm, stream);
    case Kind::kGather: return tuttiGather(send, recv, call.count, call.type, call.root, comm, stream);
    case Kind::kScatter: return tuttiScatter(send, recv, call.count, call.type, call.root, comm, stream);
    case Kind::kAllToAll: return tuttiAllToAll(send, recv, call.count, call.type, comm, stream);
    default: return tuttiBarrier(comm, stream);
  }
}

tuttiResult_t RankCall::issue_uneven(const Member& member, const void* send, void* recv, tuttiStream_t stream) const {
  const Call& call = oracle_->call();
  tuttiComm_t comm = member.comm;
  // Copies, which end with this function.
  const std::vector<size_t> counts = call.counts, in_counts = input_.counts, out_counts = output_.counts;
  const std::vector<size_t> in_displs = input_.displs, out_displs = output_.displs;
  const size_t* const in_at = input_.scattered ? in_displs.data() : nullptr;
  const size_t* const out_at = output_.scattered ? out_displs.data() : nullptr;
  const bool knows = !has_root(call.kind) || rank_ == call.root || !layout_.null_unused;
  const size_t* const all = knows ? counts.data() : nullptr;
  switch (call.kind) {
    case Kind::kAllGatherV: return tuttiAllGatherV(send, in_counts[0], recv, all, out_at, call.type, comm, stream);
    case Kind::kReduceScatterV: return tuttiReduceScatterV(send, all, in_at, recv, call.type, member.op(call), comm, stream);
    case Kind::kGatherV: return tuttiGatherV(send, in_counts[0], recv, all, out_at, call.type, call.root, comm, stream);
    case Kind::kScatterV: return tuttiScatterV(send, all, in_at, recv, out_counts[0], call.type, call.root, comm, stream);
    default: return tuttiAllToAllV(send, in_counts.data(), in_at, recv, out_counts.data(), out_at, call.type, comm, stream);
  }
}

Finding RankCall::check() const {
  if (oracle_->call().kind == Kind::kBarrier) return {};
  Bytes sent = make_buffer(input_);
  write(sent, input_, oracle_->input(rank_));
  if (in_place_) {
    write(sent, output_, oracle_->output(rank_));
    return compare(send_, sent, "the in-place buffer");
  }
  Bytes received = make_buffer(output_);
  write(received, output_, oracle_->output(rank_));
  return compare(recv_, received, "recvbuff") + compare(send_, sent, "sendbuff");
}

Finding RankCall::compare(const DeviceBuffer& placed, const Bytes& wanted, const char* name) const {
  const Bytes buffer = placed.contents();
  if (buffer == wanted) return {};
  const auto data = kGuardBytes + layout_.lead * elem_bytes_;
  const size_t first = static_cast<size_t>(std::mismatch(buffer.begin(), buffer.end(), wanted.begin()).first - buffer.begin());
  size_t differ = 0;
  for (size_t i = 0; i < buffer.size(); ++i) differ += buffer[i] != wanted[i];
  // The element around the first wrong byte, counted from the buffer's start.
  const auto elem = (static_cast<int64_t>(first) - static_cast<int64_t>(data)) / static_cast<int64_t>(elem_bytes_);
  const size_t at = first - first % elem_bytes_;
  const bool was_untouched = wanted[first] == kUntouched;
  return describe(oracle_->call()) + (in_place_ ? ", in place" : "") + (layout_.scatter_seed != 0 ? ", scattered" : "") + ", lead " +
         std::to_string(layout_.lead) + ": " + name + "[" + std::to_string(elem) + "] is " + hex(buffer.data() + at, elem_bytes_) +
         ", wanted " + hex(wanted.data() + at, elem_bytes_) + (was_untouched ? " (perhaps a byte that nobody should touch)" : "") + "; " +
         std::to_string(differ) + " of " + std::to_string(buffer.size()) + " bytes differ. ";
}

Finding RankCall::run(const Member& member) {
  const tuttiResult_t result = issue(member, nullptr);
  if (result != tuttiSuccess) return expect_success(result, describe(oracle_->call()), member.comm);
  return check();
}

}  // namespace tutti::test
