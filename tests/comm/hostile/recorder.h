// What clients say to listeners, as somebody on the path records it: the first bytes of each connection over the loopback interface.
// Takes root; without, nothing is recorded. Threading: one thread an object.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"

namespace tutti::hostile {

class Recorder {
 public:
  // Reads what has come by since the first call. Connections from `own` (the first three bytes of an address) are left out.
  void listen(const std::set<uint16_t>& ports, const unsigned char own[3]);
  // What was said at first on a connection to the port; several, the latest last.
  const std::vector<std::string>& said_to(uint16_t port) const;
  size_t count() const;

 private:
  void take(const unsigned char* packet, size_t bytes, const std::set<uint16_t>& ports, const unsigned char own[3]);

  bool asked_ = false;  // for the tap
  Fd fd_;
  std::map<std::pair<uint16_t, uint16_t>, std::string> running_;  // by the ports of both ends
  std::map<uint16_t, std::vector<std::string>> said_;
};

}  // namespace tutti::hostile
