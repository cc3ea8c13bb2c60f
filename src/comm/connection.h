// A TCP connection of control messages, served by the control thread: frames in, frames out, nothing ever blocks.
//
// Invariant: after close(), and once on_closed has been called, no handler is called again; what the handlers hold is let go.
// Threading: everything on the control thread, but make() and the first start(), which any thread may call before the control thread knows
// the connection. shared_ptr: a handler may drop the last other reference to its own connection.
#pragma once

#include <functional>
#include <memory>

#include "base/control_loop.h"
#include "comm/wire.h"

namespace tutti {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using OnFrame = std::function<bool(Frame&)>;  // false: close, without on_closed
  // The other end closed (kRemote), the connection broke (kSystem), or what came is no protocol (kInvalidUsage).
  using OnClosed = std::function<void(const Status& why)>;

  // `decoder` may hold what has been read already.
  static std::shared_ptr<Connection> make(ControlLoop& loop, Fd fd, FrameDecoder decoder) {
    return std::shared_ptr<Connection>(new Connection(loop, std::move(fd), std::move(decoder)));
  }
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins to listen. Errors: kSystem.
  Status start(OnFrame on_frame, OnClosed on_closed);
  // Others take over, and with them another bound on what may come: a handler may do that from within its call.
  void hand_over(size_t most_body_bytes, OnFrame on_frame, OnClosed on_closed);

  // Stops reading, until resume().
  void pause();
  void resume();

  // Queued where the socket is full. Dropped where over kMostUnsentBytes wait already, since then the other end has been stopped for long.
  void send(FrameType type, std::span<const std::byte> body);
  void close_when_sent();  // nobody needs to hold it until then
  void close();
  bool open() const { return static_cast<bool>(fd_); }

  // Lets the kernel find out that the other host has vanished: probes when nothing is said, and a bound on what is unacknowledged. The
  // kernel answers for a stopped process, so that a debugger is no failure. 0: never.
  void detect_lost_host(double bound_s);

  static constexpr size_t kMostUnsentBytes = size_t{256} << 20;

 private:
  Connection(ControlLoop& loop, Fd fd, FrameDecoder decoder) : loop_(loop), fd_(std::move(fd)), decoder_(std::move(decoder)) {}
  void on_event(uint32_t events);
  bool take_frames();
  void flush();
  void watch_for();
  void end(const Status& why);

  ControlLoop& loop_;
  Fd fd_;
  FrameDecoder decoder_;
  ControlLoop::Watch watch_ = 0;
  OnFrame on_frame_;
  OnClosed on_closed_;
  Bytes out_;
  size_t sent_ = 0;  // of out_
  bool paused_ = false;
  bool leaving_ = false;
  std::shared_ptr<Connection> until_sent_;  // itself, while it leaves
};

}  // namespace tutti
