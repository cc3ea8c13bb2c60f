// Meeting at an address: who comes first does not matter, the secret does, and a port that is taken is named.
#include "launch/by_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <thread>

#include "base/fd.h"
#include "comm/control_tree.h"
#include "launch/secret.h"

namespace tutti {
namespace {

Config settings(double timeout_s, const std::string& secret = "word") {
  Config config;
  config.init_timeout_s = timeout_s;
  config.secret = secret;
  return config;
}

// A listener or, unlistened, a port that the kernel will not give to anybody else for a while.
Fd bound_socket(uint16_t& port, bool listening) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  if (listening) {
    EXPECT_EQ(listen(fd.get(), 8), 0);
  }
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  port = ntohs(address.sin_port);
  return fd;
}

bool can_bind_ipv6_loopback() {
  const Fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  return fd && bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// On every address of the host: connections that linger on one of them would keep rank 0 from the port.
uint16_t free_port() {
  const Fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address = {.sin6_family = AF_INET6};
  socklen_t length = sizeof address;
  const int off = 0;
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {  // no IPv6
    uint16_t port = 0;
    bound_socket(port, false);
    return port;
  }
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin6_port);
}

MeetingAddress address(const std::string& host, uint16_t port) {
  return {host, port, "TUTTI_RENDEZVOUS=" + host + ":" + std::to_string(port)};
}

std::vector<std::byte> bytes_of(int rank) {
  return {std::byte(rank), std::byte(7)};
}

// Joins at what meet_at() gave, and checks that everybody's bytes came.
void expect_meeting(const Result<JobPlace>& place) {
  ASSERT_TRUE(place.ok()) << place.status().message();
  const Joining joining = {.rank = place.value().rank, .nranks = place.value().nranks, .meeting = 1, .timeout_s = 60};
  const Result<ControlTree::Joined> joined = ControlTree::join(place.value().id, joining, bytes_of(joining.rank));
  ASSERT_TRUE(joined.ok()) << joined.status().message();
  for (int rank = 0; rank < joining.nranks; ++rank) EXPECT_EQ(joined.value().table[static_cast<size_t>(rank)], bytes_of(rank));
}

class ByAddress : public ::testing::TestWithParam<const char*> {};

TEST_P(ByAddress, RanksMeetWhoeverComesFirst) {
  const std::string host = GetParam();
  if (host == "::1" && !can_bind_ipv6_loopback()) GTEST_SKIP() << "this system has no IPv6";
  const uint16_t port = free_port();
  std::vector<std::thread> ranks;
  for (int rank = 2; rank >= 0; --rank) {
    ranks.emplace_back([&, rank] {
      if (rank == 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));  // mostly the others come first; either way is right
      expect_meeting(meet_at(address(host, port), {rank, 3}, "job", settings(60)));
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

INSTANTIATE_TEST_SUITE_P(Hosts, ByAddress, ::testing::Values("127.0.0.1", "localhost", "::1", "0.0.0.0"), [](const auto& p) {
  std::string name = p.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(ByAddressErrors, APortThatIsTakenIsNamedWithItsVariable) {
  uint16_t port = 0;
  const Fd taken = bound_socket(port, true);
  for (const char* host : {"127.0.0.1", "0.0.0.0"}) {
    const Result<JobPlace> place = meet_at(address(host, port), {0, 2}, "", settings(60));
    ASSERT_FALSE(place.ok()) << host;
    EXPECT_EQ(place.status().code(), Code::kInvalidUsage);
    EXPECT_NE(place.status().message().find("TUTTI_RENDEZVOUS="), std::string::npos) << place.status().message();
    EXPECT_NE(place.status().message().find("port " + std::to_string(port)), std::string::npos) << place.status().message();
  }
}

TEST(ByAddressErrors, NobodyThereIsATimeoutThatNamesTheAddress) {
  uint16_t port = 0;
  const Fd reserved = bound_socket(port, false);
  for (const char* host : {"127.0.0.1", "no-such-host.invalid"}) {
    const Result<JobPlace> place = meet_at(address(host, port), {1, 2}, "", settings(0.2));
    ASSERT_FALSE(place.ok());
    EXPECT_EQ(place.status().code(), Code::kTimeout);
    EXPECT_NE(place.status().message().find(host), std::string::npos) << place.status().message();
    EXPECT_NE(place.status().message().find("TUTTI_RENDEZVOUS="), std::string::npos) << place.status().message();
  }
}

TEST(ByAddressErrors, AnUnknownNameOfRankZeroIsRefused) {
  const Result<JobPlace> place = meet_at(address("no-such-host.invalid", 4711), {0, 2}, "", settings(0.2));
  ASSERT_FALSE(place.ok());
  EXPECT_EQ(place.status().code(), Code::kInvalidUsage);
}

TEST(ByAddressErrors, AnotherSecretDoesNotJoin) {
  const uint16_t port = free_port();
  const Result<JobPlace> first = meet_at(address("127.0.0.1", port), {0, 2}, "", settings(60, "word"));
  ASSERT_TRUE(first.ok()) << first.status().message();
  for (const char* secret : {"Word", ""}) {
    const Result<JobPlace> other = meet_at(address("127.0.0.1", port), {1, 2}, "", settings(60, secret));
    ASSERT_TRUE(other.ok()) << other.status().message();
    const Joining joining = {.rank = 1, .nranks = 2, .meeting = 1, .timeout_s = 1};
    EXPECT_EQ(ControlTree::join(other.value().id, joining, bytes_of(1)).status().code(), Code::kRemote);
  }
}

TEST(ParseAddress, TakesNamesAndBothKindsOfNumbers) {
  const auto parsed = [](const std::string& text) {
    const Result<MeetingAddress> address = parse_address("V", text);
    return address.ok() ? address.value().host + " " + std::to_string(address.value().port) : std::string("refused");
  };
  EXPECT_EQ(parsed("node-1.cluster:4711"), "node-1.cluster 4711");
  EXPECT_EQ(parsed("10.0.0.1:65535"), "10.0.0.1 65535");
  EXPECT_EQ(parsed("[fe80::1%eth0]:1"), "fe80::1%eth0 1");
  for (const char* bad : {"", ":", "host", "host:", ":1", "host:0", "host:65536", "host:-1", "host: 1", "::1:5", "[]:1", "[::1]", "[::1]5",
                          "[::1:5", "host:1x"}) {
    EXPECT_EQ(parsed(bad), "refused") << bad;
  }
}

}  // namespace
}  // namespace tutti
