// Which network interfaces are used: the grammar of TUTTI_SOCKET_IFNAME, and the choice among made-up and real interfaces.
#include "base/interfaces.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace tutti {
namespace {

IpAddress v4(const char* text) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
  return IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address));
}

IpAddress v6(const char* text) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address));
}

std::vector<Interface> a_host() {
  return {{.name = "lo", .address = v4("127.0.0.1"), .prefix_bits = 104, .loopback = true},
          {.name = "docker0", .address = v4("172.17.0.1"), .prefix_bits = 112},
          {.name = "eth0", .address = v6("fd00::1"), .prefix_bits = 64},
          {.name = "eth0", .address = v4("10.0.0.1"), .prefix_bits = 120},
          {.name = "eth01", .address = v4("10.0.1.1"), .prefix_bits = 120},
          {.name = "ib0", .address = v4("192.168.0.1"), .prefix_bits = 112}};
}

// The names and addresses of the choice, in order; or the error's code.
std::vector<std::string> chosen(const std::vector<Interface>& all, const char* filter) {
  const auto result = choose_interfaces(all, filter);
  if (!result.ok()) return {"error " + std::to_string(static_cast<int>(result.status().code()))};
  std::vector<std::string> names;
  for (const Interface& each : result.value()) names.push_back(each.name + " " + each.address.text());
  return names;
}

using Names = std::vector<std::string>;

TEST(Interfaces, OuterOnesAreTakenIPv4First) {
  EXPECT_EQ(chosen(a_host(), ""), (Names{"eth0 10.0.0.1", "eth01 10.0.1.1", "ib0 192.168.0.1", "eth0 fd00::1"}));
}

TEST(Interfaces, BridgesAndLoopbackOnlyWhereThereIsNothingBetter) {
  std::vector<Interface> all = a_host();
  all.resize(2);
  EXPECT_EQ(chosen(all, ""), (Names{"docker0 172.17.0.1"}));
  all.resize(1);
  EXPECT_EQ(chosen(all, ""), (Names{"lo 127.0.0.1"}));
  EXPECT_FALSE(choose_interfaces({}, "").ok());
}

TEST(Interfaces, WithoutACableOnlyWhereThereIsNothingBetter) {
  std::vector<Interface> all = a_host();
  all[3].running = all[2].running = false;
  EXPECT_EQ(chosen(all, ""), (Names{"eth01 10.0.1.1", "ib0 192.168.0.1"}));
  all.erase(all.begin() + 4, all.end());
  EXPECT_EQ(chosen(all, "^docker"), (Names{"eth0 10.0.0.1", "eth0 fd00::1"}));
}

TEST(Interfaces, WhatIsNamedIsTakenWhateverItIs) {
  EXPECT_EQ(chosen(a_host(), "lo"), (Names{"lo 127.0.0.1"}));
  EXPECT_EQ(chosen(a_host(), "docker,ib"), (Names{"docker0 172.17.0.1", "ib0 192.168.0.1"}));
}

TEST(Interfaces, PrefixesWholeNamesAndExclusions) {
  EXPECT_EQ(chosen(a_host(), "eth0"), (Names{"eth0 10.0.0.1", "eth01 10.0.1.1", "eth0 fd00::1"}));
  EXPECT_EQ(chosen(a_host(), "=eth0"), (Names{"eth0 10.0.0.1", "eth0 fd00::1"}));
  EXPECT_EQ(chosen(a_host(), "=eth0,ib0"), (Names{"eth0 10.0.0.1", "ib0 192.168.0.1", "eth0 fd00::1"}));
  EXPECT_EQ(chosen(a_host(), "^eth"), (Names{"ib0 192.168.0.1"}));
  EXPECT_EQ(chosen(a_host(), "^=eth0"), (Names{"eth01 10.0.1.1", "ib0 192.168.0.1"}));
  EXPECT_EQ(chosen(a_host(), "^eth,ib"), (Names{"docker0 172.17.0.1"}));
}

TEST(Interfaces, AWrongNameIsAnErrorThatListsWhatThereIs) {
  for (const char* filter : {"wlan", "=eth", "^l,d,e,i"}) {
    const auto result = choose_interfaces(a_host(), filter);
    ASSERT_FALSE(result.ok()) << filter;
    EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
    for (const char* part : {"TUTTI_SOCKET_IFNAME", filter, "lo (127.0.0.1)", "eth0 (fd00::1, 10.0.0.1)", "ib0"}) {
      EXPECT_NE(result.status().message().find(part), std::string::npos) << part << ": " << result.status().message();
    }
  }
  for (const char* filter : {"^", "=", "^=", ",", "^,,"}) EXPECT_FALSE(choose_interfaces(a_host(), filter).ok()) << filter;
}

TEST(Interfaces, OfThisHost) {
  const auto lo = usable_interfaces("lo");
  ASSERT_TRUE(lo.ok()) << lo.status().message();
  for (const Interface& each : lo.value()) {
    EXPECT_TRUE(each.loopback);
    EXPECT_TRUE(each.address.is_loopback()) << each.address.text();
  }
  const auto any = usable_interfaces("");
  ASSERT_TRUE(any.ok());
  const auto& interfaces = any.value();
  const auto is_loopback = [](const Interface& each) { return each.loopback; };
  EXPECT_TRUE(std::all_of(interfaces.begin(), interfaces.end(), is_loopback) ||
              std::none_of(interfaces.begin(), interfaces.end(), is_loopback));
  EXPECT_FALSE(usable_interfaces("no_such_interface").ok());
}

TEST(IpAddress, GoesToASocketAddressAndBack) {
  for (const IpAddress& ip : {v4("10.1.2.3"), v6("fd00::7")}) {
    sockaddr_storage address;
    const socklen_t length = ip.to_sockaddr(4711, address);
    EXPECT_EQ(length, ip.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    EXPECT_EQ(IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address)), ip);
  }
  EXPECT_TRUE(v4("127.0.0.5").is_loopback());
  EXPECT_TRUE(v6("::1").is_loopback());
  EXPECT_FALSE(v4("128.0.0.1").is_loopback());
}

TEST(IpAddress, Subnets) {
  EXPECT_TRUE(same_subnet(v4("10.0.0.1"), v4("10.0.0.254"), 96 + 24));
  EXPECT_FALSE(same_subnet(v4("10.0.0.1"), v4("10.0.1.1"), 96 + 24));
  EXPECT_TRUE(same_subnet(v4("10.0.0.1"), v4("10.0.1.1"), 96 + 23));
  EXPECT_FALSE(same_subnet(v4("10.0.0.1"), v4("10.0.2.1"), 96 + 23));
  EXPECT_FALSE(same_subnet(v4("10.0.0.1"), v6("fd00::1"), 64 + 32));
  EXPECT_TRUE(same_subnet(v6("fd00::1"), v6("fd00::2"), 64));
  EXPECT_FALSE(same_subnet(v6("fd00::1"), v6("fd00:0:0:1::1"), 64));
}

}  // namespace
}  // namespace tutti
