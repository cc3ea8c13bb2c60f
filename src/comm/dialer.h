// The other side of a reception (reception.h): a rank's way to a listener, in the calling thread, within a deadline.
// Threading: one thread an object. Blocks.
#pragma once

#include <chrono>
#include <optional>

#include "comm/rendezvous_protocol.h"

namespace tutti {

class Dialer {
 public:
  using Clock = std::chrono::steady_clock;
  using Deadline = std::optional<Clock::time_point>;

  // `there` is what errors call the other end, `gone` what a closed connection means. `most_body_bytes` bounds what it may answer.
  Dialer(const ControlAddress& to, std::string there, std::string gone, size_t most_body_bytes, Deadline deadline)
      : to_(to), there_(std::move(there) + " at " + to.text()), gone_(std::move(gone)), decoder_(most_body_bytes), deadline_(deadline) {}

  // In this order. Errors: kRemote (nobody listens, a wrong key, the other end left), kTimeout, kSystem, and what a refusal says.
  Status connect();
  // Proves and checks the key.
  Status introduce(const Key& key, Role mine, Role theirs, const Hello& hello);
  Status join(std::span<const std::byte> brought);
  Result<Frame> receive(FrameType expected, const std::string& waiting_for);

  // This end's address.
  Result<ControlAddress> local() const;
  // For a Connection, with what was read beyond the last frame.
  Fd take_fd() { return std::move(fd_); }
  FrameDecoder take_decoder() { return std::move(decoder_); }

 private:
  Status refused(int error) const;
  Status wait_for(short events, const std::string& what);
  Status send(FrameType type, std::span<const std::byte> body);

  ControlAddress to_;
  std::string there_;
  std::string gone_;
  Fd fd_;
  FrameDecoder decoder_;
  Deadline deadline_;
  Mac proof_{};
  uint32_t rank_ = 0;
};

}  // namespace tutti
