// What a launcher says through TUTTI_RANK, TUTTI_SIZE and TUTTI_UNIQUE_ID: all or nothing, and nothing malformed.
#include "comm/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/status.h"

namespace tutti {
namespace {

using Value = std::optional<std::string>;

void set(const char* name, const Value& value) {
  value ? setenv(name, value->c_str(), 1) : unsetenv(name);
}

class Environment : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(read_with({}, {}, {}).ok()); }

  static Result<LaunchedAs> read_with(const Value& rank, const Value& size, const Value& id) {
    set("TUTTI_RANK", rank);
    set("TUTTI_SIZE", size);
    set("TUTTI_UNIQUE_ID", id);
    return read_launch_environment();
  }

  static std::string some_id() {
    std::string hex;
    for (int i = 0; i < TUTTI_UNIQUE_ID_BYTES; ++i) hex += i % 2 == 0 ? "0f" : "A5";
    return hex;
  }

  static void expect_refused(const Value& rank, const Value& size, const Value& id) {
    const Result<LaunchedAs> as = read_with(rank, size, id);
    const auto text = [](const Value& value) { return value ? "'" + *value + "'" : std::string("unset"); };
    ASSERT_FALSE(as.ok()) << text(rank) << ", " << text(size) << ", " << text(id);
    EXPECT_EQ(as.status().code(), Code::kInvalidUsage);
    EXPECT_NE(as.status().message().find("TUTTI_RANK"), std::string::npos) << as.status().message();
  }
};

TEST_F(Environment, NothingSetMeansAJobOfOne) {
  const Result<LaunchedAs> as = read_with({}, {}, {});
  ASSERT_TRUE(as.ok());
  EXPECT_FALSE(as.value().launched);
  EXPECT_EQ(as.value().rank, 0);
  EXPECT_EQ(as.value().nranks, 1);
}

TEST_F(Environment, AllSetIsRead) {
  const Result<LaunchedAs> as = read_with("3", "16", some_id());
  ASSERT_TRUE(as.ok()) << as.status().message();
  EXPECT_TRUE(as.value().launched);
  EXPECT_EQ(as.value().rank, 3);
  EXPECT_EQ(as.value().nranks, 16);
  for (int i = 0; i < TUTTI_UNIQUE_ID_BYTES; ++i) {
    EXPECT_EQ(static_cast<unsigned char>(as.value().id.internal[i]), i % 2 == 0 ? 0x0f : 0xa5) << i;
  }
}

TEST_F(Environment, EveryIncompleteOrMalformedCombinationIsRefused) {
  const std::string id = some_id();
  const std::vector<Value> ranks = {{}, "0", "", "x", "1x", " 1", "+1", "-", "1.0", "99999999999"};
  const std::vector<Value> sizes = {{}, "2", "", "two", "2 ", "0x2"};
  const std::vector<Value> ids = {{}, id, "", id.substr(2), id + "00", id.substr(1) + "g", "-1" + id.substr(2), " f" + id.substr(2)};
  int refused = 0;
  for (const Value& rank : ranks) {
    for (const Value& size : sizes) {
      for (const Value& unique_id : ids) {
        const bool nothing = !rank && !size && !unique_id;
        const bool good = rank == "0" && size == "2" && unique_id == id;
        if (nothing || good) continue;
        expect_refused(rank, size, unique_id);
        ++refused;
      }
    }
  }
  EXPECT_EQ(refused, 10 * 6 * 8 - 2);
}

TEST_F(Environment, ARankOutsideTheSizeIsRefused) {
  expect_refused("2", "2", some_id());
  expect_refused("-1", "2", some_id());
  expect_refused("0", "0", some_id());
  expect_refused("0", "-2", some_id());
}

}  // namespace
}  // namespace tutti
