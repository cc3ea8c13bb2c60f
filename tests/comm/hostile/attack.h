// What a stranger may do to a job: to everything that listens in this network namespace, over TCP and over abstract Unix sockets.
// Threading: one thread an object.
#pragma once

#include <cstdint>

namespace tutti::hostile {

struct AttackOptions {
  double seconds = 10;
  int rate = 500;  // new connections in a second, besides the idle ones
  int idle = 1000;
  bool record = true;  // the victims' handshakes, to replay them. A tap, which costs every message over loopback
  uint64_t seed = 1;
};

// Attacks, and watches what the victims hold meanwhile; prints what it did. 0: their descriptors and memory stayed bounded; 1: they did
// not.
int attack(const AttackOptions& options);

// A rank of a job that goes on being one under attack: all-reduces are checked, communicators split off, and new ones made. 0: all went
// well.
int join_again_and_again(double seconds);

}  // namespace tutti::hostile
