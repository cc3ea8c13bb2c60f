#include "launch/by_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "launch/deadline.h"
#include "launch/secret.h"

namespace tutti {
namespace {

constexpr int kProbeMs = 2000;  // for one address to answer; then the next one's turn, and round again
constexpr auto kPause = std::chrono::milliseconds(50);

using Address = std::array<std::byte, 16>;  // as RendezvousId has it

std::optional<Address> address_of(const sockaddr* from) {
  Address address{};
  if (from->sa_family == AF_INET6) {
    std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in6*>(from)->sin6_addr, 16);
  } else if (from->sa_family == AF_INET) {
    address[10] = address[11] = std::byte{0xff};  // ::ffff:a.b.c.d
    std::memcpy(address.data() + 12, &reinterpret_cast<const sockaddr_in*>(from)->sin_addr, 4);
  } else {
    return std::nullopt;
  }
  return address;
}

struct Endpoint {
  sockaddr_storage socket_address{};
  socklen_t length = 0;
  Address address{};
};

// getaddrinfo() itself has the resolver's bound (resolv.conf: timeout, attempts).
std::vector<Endpoint> resolve(const MeetingAddress& at, std::string& why) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found);
  std::vector<Endpoint> endpoints;
  if (error != 0) {
    why = error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error);
    return endpoints;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const std::optional<Address> address = address_of(each->ai_addr);
    if (!address || each->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Endpoint& endpoint = endpoints.emplace_back();
    std::memcpy(&endpoint.socket_address, each->ai_addr, each->ai_addrlen);
    endpoint.length = each->ai_addrlen;
    endpoint.address = *address;
  }
  if (endpoints.empty()) why = "it has no IPv4 or IPv6 address";
  return endpoints;
}

// Does somebody listen there? `error` is why not.
bool answers(const Endpoint& endpoint, int bound_ms, int& error) {
  const Fd fd(socket(endpoint.socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return error = errno, false;
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&endpoint.socket_address), endpoint.length) == 0) return true;
  if (errno != EINPROGRESS) return error = errno, false;
  pollfd wait = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
  if (poll(&wait, 1, bound_ms) <= 0) return error = ETIMEDOUT, false;
  socklen_t length = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0;
}

// Rank 0 may come later, and its name may resolve later too.
Result<Address> wait_for_listener(const MeetingAddress& at, const Deadline& deadline) {
  for (;;) {
    std::string why;
    for (const Endpoint& endpoint : resolve(at, why)) {
      int error = 0;
      if (answers(endpoint, deadline.poll_ms(kProbeMs), error)) return endpoint.address;
      why = std::strerror(error);
    }
    if (deadline.passed()) {
      return Status(Code::kTimeout,
                    "nobody listened at " + at.host + " port " + std::to_string(at.port) + " (" + at.variables + ") within " +
                        deadline.text() + ": " + why +
                        ". Was rank 0 started, on that host, and does a firewall let the port through? (TUTTI_INIT_TIMEOUT)");
    }
    std::this_thread::sleep_for(kPause);
  }
}

// Where rank 0 listens: names that mean this host on every host need be reached by nobody else; any other may mean several addresses, or
// behind a translation none of ours, so every address (::) it is.
Address listening_address(const std::string& host) {
  Address address{};
  in_addr v4{};
  in6_addr v6{};
  const bool name = host == "localhost";
  if (name) v4.s_addr = htonl(INADDR_LOOPBACK);
  if (name || (inet_pton(AF_INET, host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127)) {
    address[10] = address[11] = std::byte{0xff};
    std::memcpy(address.data() + 12, &v4, sizeof v4);
  } else if (inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6)) {
    std::memcpy(address.data(), &v6, sizeof v6);
  }
  return address;
}

Result<JobPlace> listen_at(const MeetingAddress& at, const Numbers& numbers, const DerivedKey& key) {
  if (key.weak) {
    log_warn("this job's key is guessable: it is derived from job id, address and port (" + at.variables +
             "), so whoever can reach the port can join or disturb the job. Set TUTTI_SECRET to the same secret (or @FILE) on all ranks");
  }
  std::string why;
  const std::vector<Endpoint> endpoints = resolve(at, why);
  if (endpoints.empty()) return Status(Code::kInvalidUsage, at.variables + ": cannot resolve " + at.host + ": " + why);
  const Result<RendezvousId> id = open_rendezvous_at({.address = listening_address(at.host), .port = at.port, .key = key.key});
  if (!id.ok()) {
    const bool theirs = id.status().code() == Code::kInvalidUsage;  // taken, or not ours to take
    return theirs ? Status(Code::kInvalidUsage, at.variables + ": " + id.status().message() + ": give another port") : id.status();
  }
  JobPlace place{numbers.rank, numbers.nranks, id.value()};
  place.id.children_anywhere = listening_address(at.host) == Address{};
  return place;
}

}  // namespace

Result<MeetingAddress> parse_address(const std::string& variable, const std::string& text) {
  const std::string variables = variable + "=" + text;
  const Status malformed(Code::kInvalidUsage, variables + " is no address: give host:port, or [IPv6]:port, with a port of 1 .. 65535");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return malformed;
  std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find_first_of(":[]") != std::string::npos) return malformed;
  const std::optional<int> port = parse_number(std::string_view(text).substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return malformed;
  return MeetingAddress{host, static_cast<uint16_t>(*port), variables};
}

Result<JobPlace> meet_at(const MeetingAddress& at, const Numbers& numbers, const std::string& job, const Config& config) {
  const Result<DerivedKey> key = derive_key(config.secret, job + "\n" + at.host + "\n" + std::to_string(at.port));
  if (!key.ok()) return key.status();
  if (numbers.rank == 0) return listen_at(at, numbers, key.value());
  const Result<Address> address = wait_for_listener(at, Deadline(config.init_timeout_s));
  if (!address.ok()) return address.status();
  const bool anywhere = listening_address(at.host) == Address{};  // also where the name leads to loopback on this host only
  return JobPlace{numbers.rank, numbers.nranks,
                  RendezvousId{.address = address.value(), .port = at.port, .key = key.value().key, .children_anywhere = anywhere}};
}

}  // namespace tutti
