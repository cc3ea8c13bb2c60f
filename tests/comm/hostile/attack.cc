#include "tests/comm/hostile/attack.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <random>

#include "comm/rendezvous.h"
#include "tests/comm/hostile/recorder.h"
#include "tests/comm/hostile/victims.h"
#include "transports/tcp/handshake.h"

namespace tutti::hostile {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned char kOwn[] = {127, 66, 6};  // addresses of this attacker's own, on loopback
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr auto kMeasureEvery = std::chrono::milliseconds(500);
constexpr size_t kMostHeld = 200;       // slow talkers, and connections that are left open for a while
constexpr int kMostIdleAtOnce = 200;    // then the other attacks have their turn
constexpr size_t kScannedPorts = 2000;  // in a second
// A victim may hold so much more than at first: 1,024 strangers at each control listener; of memory their buffers.
constexpr size_t kMostDescriptors = 1200, kMostMemory_kib = 96 * 1024;

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Attacker {
 public:
  explicit Attacker(const AttackOptions& options) : options_(options), random_(options.seed) {}

  int run() {
    raise_limit();
    const auto begun = Clock::now(),
               end = begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    auto next_look = begun, next_measure = begun;
    for (uint64_t made = 0; Clock::now() < end;) {
      const auto now = Clock::now();
      if (now >= next_look) look(), next_look = now + kLookEvery;
      if (now >= next_measure) measure(), next_measure = now + kMeasureEvery;
      if (options_.record) recorder_.listen(listeners_.ports, kOwn);
      const auto due = static_cast<uint64_t>(std::chrono::duration<double>(now - begun).count() * options_.rate);
      for (; made < due; ++made) strike();
      fill_idle();
      talk_slowly();
      usleep(1000);
    }
    return report();
  }

 private:
  struct Slow {
    Fd fd;
    std::string text;
    size_t said = 0;
    Clock::time_point next = Clock::now();
  };
  struct Most {
    Held first, most;
  };

  static void raise_limit() {
    rlimit limit = {.rlim_cur = 20'000, .rlim_max = 20'000};
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }

  uint64_t draw(uint64_t below) { return random_() % below; }
  std::string noise(size_t bytes) {
    std::string text(bytes, 0);
    for (char& c : text) c = static_cast<char>(random_());
    return text;
  }

  void look() {
    listeners_ = find_listeners();
    ports_.assign(listeners_.ports.begin(), listeners_.ports.end());
    names_.assign(listeners_.names.begin(), listeners_.names.end());
  }

  void measure() {
    for (const auto& [pid, held] : find_victims(listeners_)) {
      const auto [found, fresh] = held_.try_emplace(pid, Most{held, held});
      Held& most = found->second.most;
      most.descriptors = std::max(most.descriptors, held.descriptors);
      most.memory_kib = std::max(most.memory_kib, held.memory_kib);
      most.listeners = std::max(most.listeners, held.listeners);
    }
  }

  // From an address of its own, so that no lack of ports spares the victims. The connection may not be there yet.
  Fd call(uint16_t port) {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fd;
    sockaddr_in own = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
    const uint32_t net = uint32_t{kOwn[0]} << 24 | uint32_t{kOwn[1]} << 16 | uint32_t{kOwn[2]} << 8;
    const uint32_t host = net + 1 + static_cast<uint32_t>(draw(250));
    own.sin_addr.s_addr = htonl(host);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);  // a reset: nothing is left in TIME_WAIT
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) return Fd();
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) return Fd();
    ++made_;
    return fd;
  }

  Fd call(const std::string& name) {
    Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un to = {};
    to.sun_family = AF_UNIX;
    name.copy(to.sun_path + 1, sizeof to.sun_path - 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0) return Fd();
    ++made_;
    return fd;
  }

  static void say(const Fd& fd, const std::string& text) {
    if (fd) static_cast<void>(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  // Some are left open for a while.
  void let_go(Fd fd) {
    if (!fd || draw(2) == 0) return;
    held_open_.push_back(std::move(fd));
    if (held_open_.size() > kMostHeld) held_open_.pop_front();
  }

  std::string frame_hello() {
    Hello hello = make_hello({.rank = static_cast<int>(draw(4)), .nranks = 4, .meeting = static_cast<uint32_t>(draw(3))}, kToRendezvous);
    if (draw(2) == 0) hello.to = static_cast<uint32_t>(draw(4));
    noise(sizeof hello.nonce).copy(reinterpret_cast<char*>(hello.nonce.data()), sizeof hello.nonce);
    return text_of(encode_frame(FrameType::kHello, encode_hello(hello)));
  }
  std::string data_hello() {
    tcp::Hello hello{.rank = static_cast<uint32_t>(draw(4)), .nranks = 4, .to_rank = static_cast<uint32_t>(draw(4))};
    noise(sizeof hello.nonce).copy(reinterpret_cast<char*>(hello.nonce.data()), sizeof hello.nonce);
    return bytes_of(hello);
  }
  // A handshake that begins well: recorded where there is a recording, made up otherwise; the proof is of no key.
  std::string beginning(uint16_t port) {
    const std::vector<std::string>& recorded = recorder_.said_to(port);
    if (!recorded.empty() && draw(3) != 0) {
      ++replays_;
      return recorded[draw(recorded.size())];
    }
    if (draw(2) == 0) return data_hello() + noise(32);
    return frame_hello() + text_of(encode_frame(FrameType::kJoin, Bytes(64, static_cast<std::byte>(draw(256)))));
  }

  void strike() {
    if (!names_.empty() && draw(4) == 0) return strike(names_[draw(names_.size())]);
    if (ports_.empty()) return;
    const uint16_t port = ports_[draw(ports_.size())];
    Fd fd = call(port);
    switch (draw(7)) {
      case 0: break;  // nothing
      case 1: say(fd, noise(1 + draw(2000))); break;
      case 2: say(fd, beginning(port)); break;
      case 3: {
        const std::string whole = beginning(port);
        say(fd, whole.substr(0, 1 + draw(whole.size())));
        break;
      }
      case 4: {  // a length that nobody has room for
        std::string header = frame_hello().substr(0, 12);
        header.replace(8, 4, "\xff\xff\xff\x7f");
        say(fd, header + noise(100));
        break;
      }
      case 5: {  // a byte a second
        if (slow_.size() >= kMostHeld) slow_.pop_front();
        slow_.push_back({std::move(fd), beginning(port)});
        return;
      }
      default: return scan();
    }
    let_go(std::move(fd));
  }

  void strike(const std::string& name) {
    Fd fd = call(name);
    switch (draw(3)) {
      case 0: break;
      case 1: say(fd, noise(1 + draw(1000))); break;
      default: {  // its packet's magic, and nonsense behind it
        std::string packet = noise(232);
        packet.replace(0, 4, bytes_of(uint32_t{0x54555349}));
        packet[4] = static_cast<char>(draw(5));
        for (int i = 0; i < 3; ++i) say(fd, packet);
      }
    }
    let_go(std::move(fd));
  }

  void scan() {
    const size_t ports = std::max<size_t>(1, kScannedPorts * 7 / static_cast<size_t>(options_.rate));
    for (size_t i = 0; i < ports; ++i) {
      call(static_cast<uint16_t>(scanned_ = scanned_ % 65535 + 1));
      ++scans_;
    }
  }

  // Until there are as many as wanted; those that the victim has closed are made again.
  void fill_idle() {
    const auto wanted = static_cast<size_t>(options_.idle);
    for (int i = 0; i < kMostIdleAtOnce && !ports_.empty() && wanted != 0; ++i) {
      if (idle_.size() >= wanted) idle_.pop_front();
      if (idle_made_ >= wanted && i >= 1) return;  // then only now and then
      if (Fd fd = call(ports_[draw(ports_.size())])) idle_.push_back(std::move(fd)), ++idle_made_;
    }
  }

  void talk_slowly() {
    for (Slow& slow : slow_) {
      if (Clock::now() < slow.next || slow.said == slow.text.size()) continue;
      say(slow.fd, slow.text.substr(slow.said++, 1));
      slow.next = Clock::now() + std::chrono::seconds(1);
    }
  }

  int report() const {
    bool bounded = true;
    std::printf("attack: %zu connections (%zu left idle, %zu replays of %zu recordings, %zu ports scanned)\n", made_, idle_.size(),
                replays_, recorder_.count(), scans_);
    for (const auto& [pid, each] : held_) {
      const size_t descriptors = each.most.descriptors - each.first.descriptors, memory = each.most.memory_kib - each.first.memory_kib;
      const bool well = descriptors <= kMostDescriptors * each.most.listeners && memory <= kMostMemory_kib;
      bounded = bounded && well;
      std::printf("attack: process %d with %zu listeners: %zu descriptors at first, %zu at most; %zu KiB, then %zu%s\n", pid,
                  each.most.listeners, each.first.descriptors, each.most.descriptors, each.first.memory_kib, each.most.memory_kib,
                  well ? "" : ": UNBOUNDED");
    }
    if (held_.empty()) std::printf("attack: nobody was there\n");
    return bounded && !held_.empty() ? 0 : 1;
  }

  const AttackOptions options_;
  std::mt19937_64 random_;
  Recorder recorder_;
  Listeners listeners_;
  std::vector<uint16_t> ports_;
  std::vector<std::string> names_;
  std::deque<Fd> idle_, held_open_;
  std::deque<Slow> slow_;
  std::map<pid_t, Most> held_;
  size_t made_ = 0, idle_made_ = 0, replays_ = 0, scans_ = 0, scanned_ = 0;
};

}  // namespace

int attack(const AttackOptions& options) {
  return Attacker(options).run();
}

}  // namespace tutti::hostile
