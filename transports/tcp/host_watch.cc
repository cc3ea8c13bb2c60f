#include "transports/tcp/host_watch.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace tutti::tcp {

void HostWatch::begin(int fd, double bound_s) {
  bound_s_ = bound_s;
  constexpr int kProbes = 3;
  const auto set = [&](int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); };
  set(SOL_SOCKET, SO_KEEPALIVE, bound_s > 0 ? 1 : 0);
  if (bound_s <= 0) return;
  const int every_s = static_cast<int>(std::clamp(bound_s / (kProbes + 1), 1.0, 32767.0));  // the kernel's limits
  set(IPPROTO_TCP, TCP_KEEPIDLE, every_s);
  set(IPPROTO_TCP, TCP_KEEPINTVL, every_s);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

bool HostWatch::lost(int fd, Clock::time_point now) {
  if (bound_s_ <= 0) return false;
  tcp_info info = {};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return false;
  // Data sent after the last answer, or a question for room in a shut window. Between two such questions, or between two tries to send what
  // a full receiver threw away, minutes may pass, in which nothing is unanswered.
  const bool waits = (info.tcpi_unacked != 0 && info.tcpi_last_data_sent < info.tcpi_last_ack_recv) || info.tcpi_probes != 0;
  const Clock::time_point last_answer = now - std::chrono::milliseconds(info.tcpi_last_ack_recv);
  if (!waits || !waits_) since_ = now;
  waits_ = waits;
  since_ = std::max(since_, last_answer);
  return waits && std::chrono::duration<double>(now - since_).count() >= bound_s_;
}

}  // namespace tutti::tcp
