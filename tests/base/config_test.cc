// set_config_variable(): every variable takes its legal values, and refuses others by a sentence that names the variable, the value and
// what is legal.
#include "base/config.h"

#include <gtest/gtest.h>

#include <set>

namespace tutti {
namespace {

struct Case {
  const char* name;
  std::vector<const char*> legal;
  std::vector<const char*> refused;
  const char* advice;  // part of the sentence
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"TUTTI_LOG", {"warn", "info", "debug"}, {"", "trace", "WARN", "warn "}, "warn, info or debug"},
      {"TUTTI_CONF_FILE", {}, {"other.conf"}, "in the environment, not in the file"},
      {"TUTTI_ALGORITHM", {"", "ring", "one_shot"}, {}, ""},
      {"TUTTI_TOPO_FILE", {"", "rack.json"}, {}, ""},
      {"TUTTI_TUNING_FILE", {"", "choices.json"}, {}, ""},
      {"TUTTI_PLAN_FILE", {"", "one.json:/a/two.json"}, {}, ""},
      {"TUTTI_TUNER", {"", "example", "/a/tuner.so"}, {}, ""},
      {"TUTTI_TOPO_DUMP", {"", "found.json"}, {}, ""},
      {"TUTTI_TRANSPORTS", {"shm", "tcp,shm"}, {}, ""},
      {"TUTTI_NODE_ID", {"", "here"}, {}, ""},
      {"TUTTI_INIT_TIMEOUT", {"0", "0.5", "1e3"}, {"", "-1", "1s", "nan", "inf", " 1", "0x10"}, "a number from 0 to 1000000000"},
      {"TUTTI_TIMEOUT", {"0", "300"}, {"", "-0.1", "forever", "1000000001"}, "a number from 0 to 1000000000"},
      {"TUTTI_WARN_AFTER", {"0", "2.5"}, {"", "-1", "1,5"}, "a number from 0 to 1000000000"},
      {"TUTTI_SPIN", {"-1", "0", "50"}, {"", "-2", "fast"}, "a number from -1 to 1000000000"},
      {"TUTTI_YIELD", {"0", "5000"}, {"", "-1", "1us"}, "a number from 0 to 1000000000"},
      {"TUTTI_SLOT_BYTES",
       {"4096", "4K", "64K", "16M"},
       {"", "4095", "17M", "16777217", "64k", "64KB", "K", "-1", "1.5K"},
       "from 4096 to 16777216"},
      {"TUTTI_MEMORY", {"1M", "256M", "1099511627776"}, {"", "0", "1048575", "2049G", "lots"}, "from 1048576 to 1099511627776"},
      {"TUTTI_LANES", {"1", "2", "4"}, {"", "0", "3", "8", "x"}, "1, 2 or 4"},
      {"TUTTI_SLOTS", {"2", "4", "64"}, {"", "1", "65", "0", "1K", "99999999999999999999"}, "from 2 to 64"},
      {"TUTTI_SOCKET_IFNAME", {"", "eth,ib", "^docker", "=eth0"}, {}, ""},
      {"TUTTI_TCP_SOCKETS", {"1", "8"}, {"", "0", "9", "two"}, "from 1 to 8"},
      {"TUTTI_TCP_BUFFER_BYTES", {"0", "4K", "1G"}, {"", "-1", "2G"}, "from 0 to 1073741824"},
      {"TUTTI_STREAM_BYTES",
       {"0", "8M", "4611686018427387904"},
       {"", "-1", "4611686018427387905", "18446744073709551615G"},
       "from 0 to 46116"},
      {"TUTTI_DEVICE_WAIT", {"0", "5", "0.5"}, {"", "-1", "long"}, "a number from 0 to 1000000000"},
      {"TUTTI_HEARTBEAT", {"0", "10", "0.5"}, {"", "-1", "ten"}, "a number from 0 to 1000000000"},
      {"TUTTI_CHECK", {"0", "1"}, {"", "2", "on"}, "0 or 1"},
      {"TUTTI_EXPLAIN", {"0", "1"}, {"", "2", "yes", "true"}, "0 or 1"},
      {"TUTTI_LAUNCHER", {"", "pmix", "none"}, {}, ""},
      {"TUTTI_RENDEZVOUS", {"", "host:4711"}, {}, ""},
      {"TUTTI_PORT", {"1", "65535"}, {"", "0", "65536", "-1", "x"}, "a whole number from 1 to 65535"},
      {"TUTTI_SECRET", {"", "word", "@/a/file"}, {}, ""},
  };
  return kCases;
}

TEST(Config, TheCasesCoverEveryVariable) {
  std::set<std::string> listed, covered;
  for (const ConfigVariable& variable : config_variables()) listed.insert(variable.name);
  for (const Case& each : cases()) covered.insert(each.name);
  EXPECT_EQ(listed, covered);
}

TEST(Config, LegalValuesAreTaken) {
  for (const Case& each : cases()) {
    for (const char* value : each.legal) {
      Config config;
      const Status status = set_config_variable(config, each.name, value);
      EXPECT_TRUE(status.ok()) << each.name << "=" << value << ": " << status.message();
    }
  }
}

TEST(Config, RefusalsNameVariableValueAndWhatIsLegal) {
  for (const Case& each : cases()) {
    for (const char* value : each.refused) {
      Config config;
      const Status status = set_config_variable(config, each.name, value);
      EXPECT_EQ(status.code(), Code::kInvalidArgument) << each.name << "=" << value;
      EXPECT_NE(status.message().find(std::string(each.name) + "=" + value), std::string::npos) << status.message();
      EXPECT_NE(status.message().find(each.advice), std::string::npos) << status.message();
    }
  }
}

TEST(Config, ARefusedValueChangesNothing) {
  Config config;
  EXPECT_FALSE(set_config_variable(config, "TUTTI_SLOTS", "1000").ok());
  EXPECT_FALSE(set_config_variable(config, "TUTTI_TIMEOUT", "-5").ok());
  EXPECT_EQ(config.slots, Config().slots);
  EXPECT_EQ(config.timeout_s, Config().timeout_s);
}

TEST(Config, DefaultsAsListedAreLegalAndAreTheDefaults) {
  for (const ConfigVariable& variable : config_variables()) {
    EXPECT_GT(std::string(variable.meaning).size(), 0U);
    if (*variable.fallback == '\0') continue;
    Config config;
    EXPECT_TRUE(set_config_variable(config, variable.name, variable.fallback).ok()) << variable.name;
    const Config fresh;
    EXPECT_EQ(config.log, fresh.log);
    EXPECT_EQ(config.init_timeout_s, fresh.init_timeout_s);
    EXPECT_EQ(config.timeout_s, fresh.timeout_s);
    EXPECT_EQ(config.warn_after_s, fresh.warn_after_s);
    EXPECT_EQ(config.spin_us, fresh.spin_us);
    EXPECT_EQ(config.yield_us, fresh.yield_us);
    EXPECT_EQ(config.slot_bytes, fresh.slot_bytes);
    EXPECT_EQ(config.slots, fresh.slots);
    EXPECT_EQ(config.tcp_sockets, fresh.tcp_sockets);
    EXPECT_EQ(config.tcp_buffer_bytes, fresh.tcp_buffer_bytes);
    EXPECT_EQ(config.stream_bytes, fresh.stream_bytes);
    EXPECT_EQ(config.explain, fresh.explain);
  }
}

TEST(Config, ValuesLandInTheirFields) {
  Config config;
  const std::pair<const char*, const char*> settings[] = {
      {"TUTTI_LOG", "debug"},      {"TUTTI_ALGORITHM", "ring"}, {"TUTTI_TRANSPORTS", "a,b"},  {"TUTTI_NODE_ID", "n"},
      {"TUTTI_INIT_TIMEOUT", "1"}, {"TUTTI_TIMEOUT", "2.5"},    {"TUTTI_WARN_AFTER", "3"},    {"TUTTI_SPIN", "4"},
      {"TUTTI_YIELD", "5"},        {"TUTTI_SLOT_BYTES", "8K"},  {"TUTTI_STREAM_BYTES", "1G"}, {"TUTTI_SLOTS", "7"},
      {"TUTTI_EXPLAIN", "1"},      {"TUTTI_TOPO_FILE", "t"},    {"TUTTI_TOPO_DUMP", "d"}};
  for (const auto& [name, value] : settings) ASSERT_TRUE(set_config_variable(config, name, value).ok()) << name;
  EXPECT_EQ(config.log, LogLevel::kDebug);
  EXPECT_EQ(config.algorithm, "ring");
  EXPECT_EQ(config.topo_file, "t");
  EXPECT_EQ(config.topo_dump, "d");
  EXPECT_EQ(config.transports, "a,b");
  EXPECT_EQ(config.node_id, "n");
  EXPECT_EQ(config.init_timeout_s, 1);
  EXPECT_EQ(config.timeout_s, 2.5);
  EXPECT_EQ(config.warn_after_s, 3);
  EXPECT_EQ(config.spin_us, 4);
  EXPECT_EQ(config.yield_us, 5);
  EXPECT_EQ(config.slot_bytes, 8192U);
  EXPECT_EQ(config.stream_bytes, uint64_t{1} << 30);
  EXPECT_EQ(config.slots, 7U);
  EXPECT_TRUE(config.explain);
}

TEST(Config, AnUnknownNameIsRefusedByName) {
  Config config;
  for (const char* name : {"TUTTI_TIMEOT", "timeout", ""}) {
    const Status status = set_config_variable(config, name, "1");
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_NE(status.message().find(std::string(name) + " is no setting"), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace tutti
