// A living TCP listener: whatever a guest says, and wherever it stops, nobody is let in without the key, whoever was welcomed is taken over
// or given up, and the next honest caller is served. The first byte says how far the guest plays by the rules before the rest of the input
// is sent as it is.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "transports/tcp/dial.h"
#include "transports/tcp/listener.h"
#include "transports/tcp/wire.h"

using namespace tutti;
using namespace tutti::tcp;

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRanks = 9;

void expect(bool condition) {
  if (!condition) std::abort();
}

Key key() {
  Key key;
  key.fill(std::byte{0x42});
  return key;
}

IpAddress loopback() {
  IpAddress ip;  // ::ffff:127.0.0.1
  const unsigned char bytes[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  std::memcpy(ip.bytes.data(), bytes, sizeof bytes);
  return ip;
}

struct Door {
  // Written on the control thread, read by the fuzzer's: relaxed counts, awaited.
  std::atomic<int> welcomed{0}, adopted{0}, abandoned{0};
  std::unique_ptr<Listener> listener;

  Door() {
    Listener::Host host = {.admit =
                               [this](int rank, int index) {
                                 expect(rank > 0 && rank < kRanks && index >= 0 && index < kMaxSockets);
                                 if (rank == kRanks - 1) return Verdict::kWait;
                                 ++welcomed;
                                 return Verdict::kWelcome;
                               },
                           .adopt = [this](Fd fd, int, int) { expect(bool(fd)), ++adopted; },
                           .abandon = [this](int, int) { ++abandoned; }};
    listener = std::move(*Listener::open({.rank = 0, .nranks = kRanks, .key = key()}, {loopback()}, std::move(host)));
  }
};

Door& door() {
  static Door* const door = new Door;  // lives as long as the control thread
  return *door;
}

Fd connect_to_door() {
  sockaddr_storage to;
  const socklen_t length = loopback().to_sockaddr(door().listener->port(), to);
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  expect(fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) == 0);
  return fd;
}

void say(const Fd& fd, const void* data, size_t bytes) {
  [[maybe_unused]] const ssize_t sent = send(fd.get(), data, bytes, MSG_NOSIGNAL);
}

// False: the listener has closed.
template <class Message>
bool hear(const Fd& fd, Message& message) {
  return recv(fd.get(), &message, sizeof message, MSG_WAITALL) == static_cast<ssize_t>(sizeof message);
}

Hello hello_of(int rank) {
  return {.rank = static_cast<uint32_t>(rank), .nranks = kRanks, .to_rank = 0, .listener = door().listener->id()};
}

// How far by the rules. The result: whether the guest has proved that it knows the key.
bool visit(const Fd& fd, uint8_t manners, const uint8_t* data, size_t size) {
  Hello hello = hello_of(1 + manners / 8 % (kRanks - 1));
  Challenge challenge;
  switch (manners % 8) {
    case 0: say(fd, data, size); return false;  // from the first byte
    case 1:                                     // a hello with bytes of the input's choice
      std::memcpy(reinterpret_cast<uint8_t*>(&hello) + (size != 0 ? data[0] % sizeof hello : 0), data,
                  std::min<size_t>(size, sizeof hello - (size != 0 ? data[0] % sizeof hello : 0)));
      say(fd, &hello, sizeof hello);
      return false;
    case 2:  // a proof of its own
    case 3:  // or with the listener's proof sent back
      say(fd, &hello, sizeof hello);
      if (!hear(fd, challenge)) return false;
      if (manners % 8 == 3) say(fd, &challenge.proof, sizeof challenge.proof);
      say(fd, data, size);
      return false;
    default: break;
  }
  say(fd, &hello, sizeof hello);
  expect(hear(fd, challenge));
  expect(equal_macs(challenge.proof, prove(key(), Role::kListener, hello, challenge.nonce)));
  const Mac proof = prove(key(), Role::kConnector, hello, challenge.nonce);
  say(fd, &proof, sizeof proof);
  Verdict verdict{};
  expect(hear(fd, verdict));
  expect(verdict == (hello.rank == kRanks - 1 ? Verdict::kWait : Verdict::kWelcome));
  say(fd, data, size);  // go, or not
  return true;
}

template <class Condition>
void await(const Condition& condition) {
  const auto end = Clock::now() + std::chrono::seconds(15);
  while (!condition()) {
    expect(Clock::now() < end);
    usleep(50);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static int visits = 0;
  if (size == 0) return 0;
  const int welcomed = door().welcomed, adopted = door().adopted;
  bool knows_key = false;
  {
    const Fd fd = connect_to_door();
    knows_key = visit(fd, data[0], data + 1, size - 1);
  }
  if (!knows_key) expect(door().welcomed == welcomed && door().adopted == adopted);
  await([] { return door().welcomed == door().adopted + door().abandoned; });
  if (++visits % 16 != 0) return 0;
  // Now and then: is it still there?
  const IpAddress addresses[] = {loopback()};
  const int before = door().adopted;
  Hello hello = hello_of(1);
  Result<DialResult> dialled =
      dial(addresses, door().listener->port(), hello, key(), 0, Clock::now() + std::chrono::seconds(15), "the listener");
  expect(dialled.ok() && dialled->outcome == DialResult::Outcome::kConnected);
  await([&] { return door().adopted == before + 1; });
  return 0;
}
