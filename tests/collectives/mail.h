// Sends and receives: which messages pass between the ranks of a communicator, and one rank's part in them.
// Threading: a RankMail belongs to its rank's thread; the library may use its buffers until the operations are complete.
#pragma once

#include <vector>

#include "oracle.h"
#include "team.h"
#include "tests/support/device_buffer.h"

namespace tutti::test {

struct Message {
  int from = 0;
  int to = 0;
  tuttiDataType_t type = tuttiUint8;
  size_t count = 0;
  uint64_t seed = 0;
};

class RankMail {
 public:
  // All ranks hold equal `messages`; those between two ranks meet in their order there. `order_seed`: the order of this rank's calls among
  // different peers and directions; 0: the messages' order, each sent before it is received.
  RankMail(const std::vector<Message>& messages, int rank, uint64_t order_seed);

  // Makes one call after another.
  size_t calls() const { return calls_.size(); }
  tuttiResult_t issue(size_t call, const Member& member, tuttiStream_t stream);

  // All of them, each on streams[0] if it sends, on streams.back() if it receives.
  Finding issue_all(const Member& member, const std::vector<tuttiStream_t>& streams);

  // To be called when all is complete.
  Finding check() const;

 private:
  struct Call {
    Message message;
    bool is_send;
    DeviceBuffer buffer;
  };

  static Bytes make_buffer(const Call& call, bool arrived);

  std::vector<Call> calls_;
};

}  // namespace tutti::test
