// Messages with known contents, sent and checked on many FIFOs of a rank at once.
// Threading: one thread.
#pragma once

#include <list>

#include "tests/transports/conformance.h"

namespace tutti {

// Message number i from one rank to another: i mod (capacity + 1) bytes, so that all sizes come by.
class Pattern {
 public:
  Pattern(int from, int to, const FifoKey& key, uint32_t capacity)
      : seed_(static_cast<uint32_t>(from * 37 + to * 101 + key.channel * 11 + static_cast<int>(key.protocol) * 71)), capacity_(capacity) {}

  size_t size(uint64_t i) const { return static_cast<size_t>(i % (capacity_ + 1)); }
  uint16_t signature(uint64_t i) const { return static_cast<uint16_t>(i * 40503 + seed_); }
  void write(uint64_t i, std::byte* payload) const {
    for (size_t at = 0; at < size(i); ++at) payload[at] = byte(i, at);
  }
  bool matches(uint64_t i, const std::byte* payload) const {
    for (size_t at = 0; at < size(i); ++at) {
      if (payload[at] != byte(i, at)) return false;
    }
    return true;
  }

 private:
  std::byte byte(uint64_t i, size_t at) const { return static_cast<std::byte>(seed_ + i * 13 + at * 7 + (at >> 8) * 5); }

  uint32_t seed_;
  uint32_t capacity_;
};

class Outgoing {
 public:
  Outgoing(TestRank& rank, const FifoKey& key)
      : fifo_(rank.sender(key.peer, key.protocol, key.channel)), pattern_(rank.rank, key.peer, key, fifo_.capacity()) {}
  uint64_t sent() const { return sent_; }
  bool try_send() {
    if (!fifo_.ready()) return false;
    pattern_.write(sent_, fifo_.payload());
    fifo_.post(pattern_.signature(sent_), static_cast<uint32_t>(pattern_.size(sent_)));
    ++sent_;
    return true;
  }

 private:
  FifoSender& fifo_;
  Pattern pattern_;
  uint64_t sent_ = 0;
};

class Incoming {
 public:
  Incoming(TestRank& rank, const FifoKey& key)
      : fifo_(rank.receiver(key.peer, key.protocol, key.channel)),
        pattern_(key.peer, rank.rank, key, rank.transport->shapes().of(key.protocol).capacity) {}
  uint64_t received() const { return received_; }
  // Throws where the message is not the one due.
  bool try_receive() {
    if (!fifo_.ready()) return false;
    if (fifo_.signature() != pattern_.signature(received_) || !pattern_.matches(received_, fifo_.payload())) {
      throw std::runtime_error("message " + std::to_string(received_) + " is not what was sent");
    }
    fifo_.release();
    ++received_;
    return true;
  }

 private:
  FifoReceiver& fifo_;
  Pattern pattern_;
  uint64_t received_ = 0;
};

inline void send(TestRank& rank, Outgoing& out, uint64_t messages) {
  for (uint64_t i = 0; i < messages; ++i) {
    if (!eventually([&] { return rank.transport->progress(), out.try_send(); })) throw std::runtime_error("no slot came free");
  }
  rank.transport->settle();
}

inline void receive(TestRank& rank, Incoming& in, uint64_t messages) {
  for (uint64_t i = 0; i < messages; ++i) {
    if (!eventually([&] { return rank.transport->progress(), in.try_receive(); })) throw std::runtime_error("no message came");
  }
}

// FIFOs to and from every peer, of the given protocols and channels.
class Traffic {
 public:
  Traffic(TestRank& rank, std::vector<Protocol> protocols = {Protocol::kInline, Protocol::kStaged}, int channels = 1) : rank_(rank) {
    for (int hop = 1; hop < rank.nranks; ++hop) {
      const int peer = (rank.rank + hop) % rank.nranks;
      for (const Protocol protocol : protocols) {
        for (int channel = 0; channel < channels; ++channel) {
          const FifoKey key{.peer = peer, .channel = channel, .protocol = protocol};
          out_.emplace_back(rank, key);
          in_.emplace_back(rank, key);
        }
      }
    }
  }

  // `messages` more, out of and into each, whatever comes first first.
  void exchange(uint64_t messages) {
    goal_ += messages;
    if (!eventually([&] { return advance(); })) throw std::runtime_error("the traffic came to a halt");
  }

 private:
  bool advance() {
    bool complete = true;
    for (Outgoing& each : out_) {
      while (each.sent() < goal_ && each.try_send()) {
      }
      complete &= each.sent() == goal_;
    }
    rank_.transport->progress();
    for (Incoming& each : in_) {
      while (each.received() < goal_ && each.try_receive()) {
      }
      complete &= each.received() == goal_;
    }
    return complete;
  }

  TestRank& rank_;
  std::list<Outgoing> out_;
  std::list<Incoming> in_;
  uint64_t goal_ = 0;
};

}  // namespace tutti
