// A data connection past its handshake, whose peer says anything: every byte stream is also read by a plain model, and what the connection
// delivers, refuses, credits and frees must be what the model says. The input is a list of acts: raw bytes, or a frame that is nearly
// right; and now and then the receivers release what has come.
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <optional>

#include "base/control_loop.h"
#include "transports/tcp/connection.h"

using namespace tutti;
using namespace tutti::tcp;

namespace {

constexpr FifoShapes kShapes = {.inlined = {.slots = 4, .capacity = 56, .payload_offset = 8},
                                .staged = {.slots = 3, .capacity = 300, .payload_offset = 64}};
constexpr int kPeer = 1;
constexpr FifoKey kOut = {.peer = kPeer, .channel = 3, .protocol = Protocol::kStaged};
constexpr uint32_t kPosted = 2;  // of its three slots

void expect(bool condition) {
  if (!condition) std::abort();
}

struct Message {
  uint16_t signature;
  std::vector<std::byte> payload;
};

// What a connection is to make of the stream.
struct Model {
  struct In {
    std::deque<Message> waiting;
    uint32_t arrived = 0, released = 0;
  };
  std::map<std::pair<int, Protocol>, In> ins;
  std::vector<std::byte> unread;
  bool ended = false;
  PeerState heard = PeerState::kAlive;
  uint32_t out_consumed = 0;
  std::optional<FrameHeader> message;  // whose payload is not whole yet

  void feed(std::span<const std::byte> bytes) {
    unread.insert(unread.end(), bytes.begin(), bytes.end());
    while (!ended && take_one()) {
    }
  }

 private:
  std::vector<std::byte> take(size_t bytes) {
    std::vector<std::byte> taken(unread.begin(), unread.begin() + static_cast<ptrdiff_t>(bytes));
    unread.erase(unread.begin(), unread.begin() + static_cast<ptrdiff_t>(bytes));
    return taken;
  }
  bool take_one() {
    if (message) {
      if (unread.size() < message->bytes) return false;
      In& in = ins[{message->channel, message->protocol}];
      in.waiting.push_back({message->signature, take(message->bytes)});
      ++in.arrived;
      message.reset();
      return true;
    }
    if (unread.size() < sizeof(FrameHeader)) return false;
    FrameHeader header;
    std::memcpy(&header, take(sizeof header).data(), sizeof header);
    if (header.kind == FrameKind::kGoodbye && (header.goodbye == PeerState::kLeft || header.goodbye == PeerState::kAborted)) {
      heard = header.goodbye;
      return true;
    }
    const bool named = header.channel < kFifoChannels && (header.protocol == Protocol::kStaged || header.protocol == Protocol::kInline);
    if (!named || (header.kind != FrameKind::kData && header.kind != FrameKind::kCredit)) return end();
    if (header.has_credit != 0 && header.channel == kOut.channel && header.protocol == kOut.protocol) {
      const uint32_t gained = header.credit - out_consumed;
      if (gained <= kPosted - out_consumed) out_consumed += gained;
    }
    if (header.kind == FrameKind::kCredit) return true;
    const FifoShape& shape = kShapes.of(header.protocol);
    const In& in = ins[{header.channel, header.protocol}];
    if (header.bytes > shape.capacity || in.arrived - in.released >= shape.slots) return end();
    message = header;
    return true;
  }
  bool end() {
    ended = true;
    return false;
  }
};

class Trial {
 public:
  Trial() : fifos_(kShapes, std::make_shared<MemoryBudget>(size_t{1} << 30)) {
    int ends[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    far_.reset(ends[1]);
    connection_.emplace(*ControlLoop::instance().value(), Fd(ends[0]), kPeer, fifos_, unsent_);
    out_ = fifos_.make_out(kOut, &*connection_).value();
    for (uint32_t i = 0; i < kPosted; ++i) {
      expect(out_->end.ready());
      out_->end.post(1, 8);
    }
  }

  void send(std::span<const std::byte> bytes) {
    if (model_.ended) return;
    expect(::send(far_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    model_.feed(bytes);
    while (connection_->receive(Connection::Locking::kWait).moved) {
    }
    expect(connection_->ended() == model_.ended);
    expect(connection_->heard() == model_.heard);
    look_at_messages();
    drain();
  }

  // One message of every FIFO that has any.
  void release() {
    for (auto& [name, in] : model_.ins) {
      if (in.waiting.empty()) continue;
      InFifo* const fifo = fifos_.in({.peer = kPeer, .channel = name.first, .protocol = name.second});
      expect(fifo != nullptr && fifo->end.ready());
      fifo->end.release();
      in.waiting.pop_front();
      ++in.released;
    }
    look_at_messages();
    drain();
  }

  // The slots that the peer has not given back stay taken; what it gave back is free, and no more.
  void look_at_credits() {
    uint32_t free = 0;
    for (; out_->end.ready(); ++free) out_->end.post(1, 0);
    expect(free == kShapes.staged.slots - kPosted + model_.out_consumed);
  }

 private:
  // The first waiting message of every FIFO is there, and where there is none, none is.
  void look_at_messages() {
    for (auto& [name, in] : model_.ins) {
      InFifo* const fifo = fifos_.in({.peer = kPeer, .channel = name.first, .protocol = name.second});
      if (fifo == nullptr) {
        expect(in.waiting.empty());
        continue;
      }
      expect(fifo->end.ready() == !in.waiting.empty());
      if (in.waiting.empty()) continue;
      const Message& message = in.waiting.front();
      expect(fifo->end.signature() == message.signature);
      expect(std::equal(message.payload.begin(), message.payload.end(), fifo->end.payload()));
    }
  }

  // What the connection says is never wrong, whatever it hears: it credits what was released, at most.
  void drain() {
    std::byte buffer[4096];
    for (;;) {
      const ssize_t got = recv(far_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got <= 0) break;
      said_.insert(said_.end(), buffer, buffer + got);
    }
    while (said_.size() - read_ >= sizeof(FrameHeader)) {
      FrameHeader header;
      std::memcpy(&header, said_.data() + read_, sizeof header);
      if (said_.size() - read_ < sizeof header + header.bytes) break;
      read_ += sizeof header + header.bytes;
      expect(header.kind == FrameKind::kData || header.kind == FrameKind::kCredit);
      if (header.has_credit != 0) expect(header.credit <= model_.ins[{header.channel, header.protocol}].released);
    }
  }

  FifoTable fifos_;
  std::atomic<int> unsent_{0};
  Fd far_;
  std::optional<Connection> connection_;
  OutFifo* out_ = nullptr;
  Model model_;
  std::vector<std::byte> said_;
  size_t read_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Trial trial;
  size_t at = 0;
  const auto next = [&]() -> uint8_t { return at < size ? data[at++] : uint8_t{0}; };
  while (at < size) {
    const uint8_t act = next();
    switch (act % 4) {
      case 0: {  // as they come
        const size_t bytes = std::min<size_t>(size - at, 1 + act / 4);
        trial.send(std::as_bytes(std::span(data + at, bytes)));
        at += bytes;
        break;
      }
      case 1: trial.release(); break;
      default: {  // a frame that is nearly right
        FrameHeader header = {.bytes = static_cast<uint32_t>(next() * (act / 4 % 8 == 0 ? 2 : 0) + next() % 64),
                              .credit = static_cast<uint32_t>(static_cast<int8_t>(next())),
                              .signature = static_cast<uint16_t>(next() * 257),
                              .channel = static_cast<uint16_t>(next() % 48),
                              .kind = static_cast<FrameKind>(next() % 5),
                              .protocol = static_cast<Protocol>(next() % 3),
                              .has_credit = static_cast<uint8_t>(next() % 2),
                              .goodbye = static_cast<PeerState>(next() % 5)};
        if (header.kind != FrameKind::kData) header.bytes = 0;
        std::vector<std::byte> frame(sizeof header + header.bytes, std::byte{next()});
        std::memcpy(frame.data(), &header, sizeof header);
        if (act % 4 == 3) frame.resize(std::min<size_t>(frame.size(), 1 + next()));  // the rest is what follows
        trial.send(frame);
      }
    }
  }
  trial.look_at_credits();
  return 0;
}
