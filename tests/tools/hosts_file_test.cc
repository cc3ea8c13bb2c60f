// What may stand in a file of hosts, and which rank runs where.
#include "tools/hosts_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace tutti::run {
namespace {

std::string parsed(const std::string& text) {
  const Result<std::vector<HostSlots>> hosts = parse_hosts(text, "f");
  if (!hosts.ok()) return hosts.status().message();
  std::string result;
  for (const HostSlots& host : hosts.value()) result += host.host + "*" + std::to_string(host.slots) + " ";
  return result;
}

TEST(HostsFile, LinesCommentsAndBlanks) {
  EXPECT_EQ(parsed("a slots=2\nb"), "a*2 b*1 ");
  EXPECT_EQ(parsed("# all\n\n  \t\n me@node-1.x.y\tslots=65536 # big\r\n10.0.0.1#x\n"), "me@node-1.x.y*65536 10.0.0.1*1 ");
}

TEST(HostsFile, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "f: no host"},
      {"# a\n\n", "f: no host"},
      {"a\nb slots=0", "f:2: 'slots=0'"},
      {"a\n\nb slots=x", "f:3: 'slots=x'"},
      {"a slots=", "f:1: 'slots='"},
      {"a slots=65537", "f:1: 'slots=65537'"},
      {"a slots=2x", "f:1: 'slots=2x'"},
      {"a slots = 2", "f:1: 'slots'"},
      {"a 2", "f:1: '2'"},
      {"a slots=2 slots=3", "f:1: 'slots=3'"},
      {"a\na slots=2", "f:2: a stands on an earlier line"},
      {"-oProxyCommand=evil", "f:1: '-oProxyCommand=evil' is no host name"},
      {"a;reboot", "f:1: 'a;reboot' is no host name"},
      {"$(reboot)", "f:1: '$(reboot)' is no host name"},
  };
  for (const auto& [text, part] : wrong) EXPECT_EQ(parsed(text).find(part), 0U) << text << ": " << parsed(text);
}

std::string placed(int ranks) {
  const Result<std::vector<Placement>> placements = place_ranks({{"a", 2}, {"b", 1}, {"c", 3}}, ranks, "f");
  if (!placements.ok()) return placements.status().message();
  std::string result;
  for (const Placement& p : placements.value()) result += p.host + std::to_string(p.first) + "+" + std::to_string(p.count) + " ";
  return result;
}

TEST(PlaceRanks, FillsHostsInTheirOrder) {
  EXPECT_EQ(placed(0), "a0+2 b2+1 c3+3 ");
  EXPECT_EQ(placed(6), "a0+2 b2+1 c3+3 ");
  EXPECT_EQ(placed(4), "a0+2 b2+1 c3+1 ");
  EXPECT_EQ(placed(1), "a0+1 ");
  EXPECT_NE(placed(7).find("6 slots"), std::string::npos);
}

TEST(ThisHost, IsKnownByItsNames) {
  char own[256] = {};
  ASSERT_EQ(gethostname(own, sizeof own - 1), 0);
  for (const std::string& name : {std::string("localhost"), std::string("127.0.0.1"), std::string(own)})
    EXPECT_TRUE(is_this_host(name)) << name;
  for (const char* name : {"192.0.2.1", "no-such-host.invalid", "somebody@localhost"}) EXPECT_FALSE(is_this_host(name)) << name;
}

}  // namespace
}  // namespace tutti::run
