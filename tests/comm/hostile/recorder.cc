#include "tests/comm/hostile/recorder.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace tutti::hostile {
namespace {

constexpr size_t kMostBytes = 1024;      // of a connection: any handshake is shorter
constexpr size_t kEnoughBytes = 64;      // to be worth a replay
constexpr size_t kMostConnections = 32;  // of a port
constexpr size_t kMostRunning = 4096;

}  // namespace

void Recorder::listen(const std::set<uint16_t>& ports, const unsigned char own[3]) {
  if (!asked_) {
    asked_ = true;
    fd_ = Fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_IP)));
    const int room = 8 << 20;
    if (fd_) setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  }
  unsigned char packet[2048];
  sockaddr_ll from = {};
  for (;;) {
    socklen_t length = sizeof from;
    const ssize_t got = fd_ ? recvfrom(fd_.get(), packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&from), &length) : -1;
    if (got <= 0) return;
    if (from.sll_pkttype == PACKET_HOST) take(packet, static_cast<size_t>(got), ports, own);  // on loopback all is seen twice
  }
}

void Recorder::take(const unsigned char* packet, size_t bytes, const std::set<uint16_t>& ports, const unsigned char own[3]) {
  const size_t ip = size_t{packet[0]} % 16 * 4;
  if (bytes < ip + 20 || packet[9] != IPPROTO_TCP || std::memcmp(packet + 12, own, 3) == 0) return;
  const unsigned char* const tcp = packet + ip;
  const auto from = static_cast<uint16_t>(tcp[0] << 8 | tcp[1]), to = static_cast<uint16_t>(tcp[2] << 8 | tcp[3]);
  const size_t header = size_t{tcp[12]} / 16 * 4, total = static_cast<size_t>(packet[2] << 8 | packet[3]);
  if (!ports.contains(to) || total < ip + header) return;
  const size_t payload = std::min(total, bytes) - ip - header;
  if (payload == 0) return;
  if (running_.size() > kMostRunning) running_.clear();
  std::string& said = running_[{from, to}];
  if (said.size() >= kMostBytes) return;
  said.append(reinterpret_cast<const char*>(tcp + header), std::min(payload, kMostBytes - said.size()));
  if (said.size() < kEnoughBytes) return;
  std::vector<std::string>& all = said_[to];
  // One that goes on replaces its own beginning.
  const auto beginning = std::find_if(all.begin(), all.end(), [&](const std::string& each) { return said.starts_with(each); });
  if (beginning != all.end())
    *beginning = said;
  else if (all.size() < kMostConnections)
    all.push_back(said);
}

const std::vector<std::string>& Recorder::said_to(uint16_t port) const {
  static const std::vector<std::string> nothing;
  const auto found = said_.find(port);
  return found == said_.end() ? nothing : found->second;
}

size_t Recorder::count() const {
  size_t all = 0;
  for (const auto& [port, said] : said_) all += said.size();
  return all;
}

}  // namespace tutti::hostile
