// tutti-wire: what bare TCP sockets do here, without any library: the peer of the network figures in docs/performance.md.
//
//   tutti-wire ping [ROUNDS]              8 bytes to and fro over loopback between two pinned processes, TCP_NODELAY, both polling with
//                                         non-blocking recv. Two figures: half of a round trip, which is one message's way; and an
//                                         exchange, where both send at once and then wait for the other's: what an all-reduce of two ranks
//                                         needs at least.
//   tutti-wire stream HOST,HOST,... BYTES [ROUNDS]
//                                         on every host of the list, started by tutti-run (TUTTI_RANK says which it is): streams BYTES to
//                                         the next host and takes as many from the one before, all at once, as a ring does; so the lines
//                                         are full both ways. Every host prints the rate at which it received.
// One JSON line each; times in microseconds: median, 10th and 90th percentile over rounds (ping: over batches of 1000 rounds).
// Threads: ping forks one process; stream has one that sends. Every wait ends after 30 s.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBoundSeconds = 30;
constexpr int kBatch = 1000;
constexpr uint16_t kPort = 7117;
constexpr size_t kPieceBytes = 256 << 10;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "tutti-wire: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

double since_us(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

std::string spread(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double fraction) { return samples[static_cast<size_t>(fraction * static_cast<double>(samples.size() - 1))]; };
  char text[96];
  std::snprintf(text, sizeof text, "{\"median_us\":%.3f,\"p10_us\":%.3f,\"p90_us\":%.3f}", at(0.5), at(0.1), at(0.9));
  return text;
}

sockaddr_in address_of(const std::string& host, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    give_up(host.c_str());
  }
  return address;
}

int new_socket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up("socket");
  return fd;
}

// Waits in send and recv, too, are bounded.
void prepare(int fd) {
  const int on = 1;
  const timeval bound = {.tv_sec = kBoundSeconds, .tv_usec = 0};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
}

// `port` 0: one of the kernel's choice, which it then says.
int listen_on(uint16_t& port) {
  const int fd = new_socket();
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  prepare(fd);  // also bounds accept
  sockaddr_in address = address_of("0.0.0.0", port);
  socklen_t length = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 1) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    give_up("listen");
  }
  port = ntohs(address.sin_port);
  return fd;
}

int accept_one(int listener) {
  const int fd = accept(listener, nullptr, nullptr);
  if (fd < 0) give_up("accept");
  close(listener);
  prepare(fd);
  return fd;
}

// Tries until the other end listens.
int connect_to(const std::string& host, uint16_t port) {
  const sockaddr_in address = address_of(host, port);
  const Clock::time_point start = Clock::now();
  for (;;) {
    const int fd = new_socket();
    prepare(fd);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    if (errno != ECONNREFUSED || since_us(start) > kBoundSeconds * 1e6) give_up("connect");
    close(fd);
    usleep(10'000);
  }
}

// --- ping

void pin(size_t index) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set) || index-- != 0) continue;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    return;
  }
}

void say(int fd) {
  const uint64_t word = 0;
  if (send(fd, &word, sizeof word, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof word) give_up("send");
}

// Eight bytes come whole: nothing smaller was ever sent. The time is looked at now and then, since a clock costs as much as half a poll.
void hear(int fd) {
  uint64_t word = 0;
  Clock::time_point start;
  for (uint32_t polls = 1;; ++polls) {
    const ssize_t got = recv(fd, &word, sizeof word, MSG_DONTWAIT);
    if (got == sizeof word) return;
    if (got >= 0 || errno != EAGAIN) give_up("recv");
    if (polls % 65536 != 0) continue;
    if (polls == 65536) start = Clock::now();
    errno = ETIMEDOUT;
    if (since_us(start) > kBoundSeconds * 1e6) give_up("recv");
  }
}

void echo(int fd, int batches) {
  for (int round = 0; round < batches * kBatch; ++round) hear(fd), say(fd);
  for (int round = 0; round < batches * kBatch; ++round) say(fd), hear(fd);
}

int ping(int rounds) {
  const int batches = std::max(2, rounds / kBatch);
  uint16_t port = 0;
  const int listener = listen_on(port);
  const pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    close(listener);
    pin(1);
    echo(connect_to("127.0.0.1", port), batches);
    return 0;
  }
  pin(0);
  const int fd = accept_one(listener);
  std::vector<double> one_way, exchange;
  for (int batch = 0; batch < batches; ++batch) {
    const Clock::time_point start = Clock::now();
    for (int round = 0; round < kBatch; ++round) say(fd), hear(fd);
    one_way.push_back(since_us(start) / kBatch / 2);
  }
  for (int batch = 0; batch < batches; ++batch) {
    const Clock::time_point start = Clock::now();
    for (int round = 0; round < kBatch; ++round) say(fd), hear(fd);
    exchange.push_back(since_us(start) / kBatch);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  std::printf("{\"mode\":\"ping\",\"bytes\":8,\"one_way\":%s,\"exchange\":%s}\n", spread(one_way).c_str(), spread(exchange).c_str());
  return 0;
}

// --- stream

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) c == ',' ? parts.emplace_back() : (parts.back() += c, parts.back());
  return parts;
}

void send_all(int fd, size_t bytes) {
  const std::vector<char> piece(kPieceBytes);
  while (bytes != 0) {
    const ssize_t sent = send(fd, piece.data(), std::min(bytes, piece.size()), MSG_NOSIGNAL);
    if (sent <= 0 && errno != EINTR) give_up("send");
    if (sent > 0) bytes -= static_cast<size_t>(sent);
  }
}

void receive_all(int fd, size_t bytes) {
  static std::vector<char> piece(kPieceBytes);
  while (bytes != 0) {
    const ssize_t got = recv(fd, piece.data(), std::min(bytes, piece.size()), 0);
    if (got == 0) errno = ECONNRESET;
    if (got <= 0 && errno != EINTR) give_up("recv");
    if (got > 0) bytes -= static_cast<size_t>(got);
  }
}

int stream(const std::vector<std::string>& hosts, size_t bytes, int rounds) {
  const char* const text = std::getenv("TUTTI_RANK");
  const size_t rank = text == nullptr ? hosts.size() : std::strtoul(text, nullptr, 10);
  if (rank >= hosts.size()) {
    std::fprintf(stderr, "tutti-wire: TUTTI_RANK must say which of the %zu hosts this is: start it with tutti-run\n", hosts.size());
    return 2;
  }
  uint16_t port = kPort;
  const int listener = listen_on(port);
  const int to = connect_to(hosts[(rank + 1) % hosts.size()], kPort);
  const int from = accept_one(listener);
  std::thread sender([&] { send_all(to, bytes * static_cast<size_t>(rounds + 1)); });
  receive_all(from, bytes);  // until congestion control knows the line
  std::vector<double> times;
  const Clock::time_point begun = Clock::now();
  for (int round = 0; round < rounds; ++round) {
    const Clock::time_point start = Clock::now();
    receive_all(from, bytes);
    times.push_back(since_us(start));
  }
  const double MBps = static_cast<double>(bytes) * rounds / since_us(begun);
  sender.join();
  std::printf("{\"mode\":\"stream\",\"host\":%zu,\"hosts\":%zu,\"bytes\":%zu,\"MBps\":%.2f,\"time\":%s}\n", rank, hosts.size(), bytes, MBps,
              spread(times).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int index, long otherwise) { return argc > index ? std::strtol(argv[index], nullptr, 10) : otherwise; };
  if (mode == "ping" && argc <= 3 && number(2, 1) > 0) return ping(static_cast<int>(number(2, 100'000)));
  if (mode == "stream" && argc >= 4 && argc <= 5 && number(3, 0) > 0 && number(4, 1) > 0) {
    return stream(split(argv[2]), static_cast<size_t>(number(3, 0)), static_cast<int>(number(4, 5)));
  }
  std::fprintf(stderr, "usage: tutti-wire ping [ROUNDS] | tutti-wire stream HOST,HOST,... BYTES [ROUNDS]   (hosts by IPv4 address)\n");
  return 2;
}
