// How control messages travel: frames of a fixed header and a body of little-endian fields. A reader believes no length before it has
// checked it.
// Threading: value types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace tutti {

using Bytes = std::vector<std::byte>;

class ByteWriter {
 public:
  void u16(uint16_t v) { integer(v, 2); }
  void u32(uint32_t v) { integer(v, 4); }
  void u64(uint64_t v) { integer(v, 8); }
  void f64(double v) {
    uint64_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    u64(bits);
  }
  void raw(std::span<const std::byte> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  // With their length before them.
  void bytes(std::span<const std::byte> bytes) {
    u32(static_cast<uint32_t>(bytes.size()));
    raw(bytes);
  }
  void text(const std::string& s) { bytes(std::as_bytes(std::span(s))); }
  Bytes take() { return std::move(out_); }

 private:
  void integer(uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<std::byte>(v >> (8 * i)));
  }
  Bytes out_;
};

// Reads what ByteWriter wrote. A read past the end gives zeros and makes ok() false for good.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> in) : in_(in) {}
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  // What was not read yet.
  std::span<const std::byte> rest() const { return in_; }
  uint16_t u16() { return static_cast<uint16_t>(integer(2)); }
  uint32_t u32() { return static_cast<uint32_t>(integer(4)); }
  uint64_t u64() { return integer(8); }
  double f64() {
    const uint64_t bits = u64();
    double v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
  std::span<const std::byte> raw(size_t count);
  std::span<const std::byte> bytes() { return raw(u32()); }
  std::string text();
  // Fills a fixed-size array.
  template <class Array>
  Array array() {
    Array a{};
    const auto from = raw(sizeof a);
    if (ok_) std::memcpy(a.data(), from.data(), sizeof a);
    return a;
  }

 private:
  uint64_t integer(size_t count);
  std::span<const std::byte> in_;
  bool ok_ = true;
};

enum class FrameType : uint16_t {
  kHello = 1,      // who connects
  kChallenge = 2,  // proof that the other end knows the key, and a nonce
  kJoin = 3,       // proof that who connects knows it, and what it brings
  kTable = 4,      // down the tree: everybody's data
  kRefuse = 5,     // a code and a sentence
  kPlace = 6,      // from the rendezvous: a rank's place in the tree
  kGather = 7,     // up the tree: a subtree's data
  kMessage = 8,    // along the tree, while it lives
  kGoodbye = 9,    // the sender's communicator ends in good order; it goes on forwarding
  kDone = 10,      // nothing will come from the sender's side of this edge any more
};

struct Frame {
  FrameType type;
  Bytes body;
};

Bytes encode_frame(FrameType type, std::span<const std::byte> body);

// Cuts a stream into frames. A body over `most_body_bytes`, or a wrong magic, breaks it for good.
class FrameDecoder {
 public:
  explicit FrameDecoder(size_t most_body_bytes) : most_body_bytes_(most_body_bytes) {}
  void feed(std::span<const std::byte> bytes) { buffer_.insert(buffer_.end(), bytes.begin(), bytes.end()); }
  // For the frames to come.
  void set_bound(size_t most_body_bytes) { most_body_bytes_ = most_body_bytes; }
  // The next whole frame, if there is one. Errors: kRemote (this is no Tutti peer).
  Result<std::optional<Frame>> next();

 private:
  size_t most_body_bytes_;
  Bytes buffer_;
};

}  // namespace tutti
