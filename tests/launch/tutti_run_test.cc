// What a launcher says through TUTTI_RANK, TUTTI_SIZE and TUTTI_UNIQUE_ID: all or nothing, and nothing malformed.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "launch/find_job.h"
#include "launch/unique_id_text.h"

namespace tutti {
namespace {

using Value = std::optional<std::string>;

// A job of one comes without a launcher.
Result<JobPlace> read_with(const Value& rank, const Value& size, const Value& id) {
  Environment::Variables variables;
  if (rank) variables["TUTTI_RANK"] = *rank;
  if (size) variables["TUTTI_SIZE"] = *size;
  if (id) variables["TUTTI_UNIQUE_ID"] = *id;
  const Environment environment(std::move(variables));
  const Result<FoundLauncher> found = choose_launcher(environment, Config());
  if (!found.ok()) return found.status();
  return found.value().launcher == nullptr ? JobPlace() : found.value().launcher->join(environment, Config());
}

std::string some_id() {
  RendezvousId id = {.port = 4711};
  id.address.fill(std::byte{0xa5});
  id.key.fill(std::byte{0x0f});
  return id_to_hex(id);
}

void expect_refused(const Value& rank, const Value& size, const Value& id) {
  const Result<JobPlace> as = read_with(rank, size, id);
  const auto text = [](const Value& value) { return value ? "'" + *value + "'" : std::string("unset"); };
  ASSERT_FALSE(as.ok()) << text(rank) << ", " << text(size) << ", " << text(id);
  EXPECT_EQ(as.status().code(), Code::kInvalidUsage);
  EXPECT_NE(as.status().message().find("TUTTI_RANK"), std::string::npos) << as.status().message();
}

TEST(TuttiRunLauncher, NothingSetMeansAJobOfOne) {
  const Result<JobPlace> as = read_with({}, {}, {});
  ASSERT_TRUE(as.ok());
  EXPECT_EQ(as.value().rank, 0);
  EXPECT_EQ(as.value().nranks, 1);
}

TEST(TuttiRunLauncher, AllSetIsRead) {
  const Result<JobPlace> as = read_with("3", "16", some_id());
  ASSERT_TRUE(as.ok()) << as.status().message();
  EXPECT_EQ(as.value().rank, 3);
  EXPECT_EQ(as.value().nranks, 16);
  EXPECT_EQ(as.value().id.port, 4711);
  EXPECT_EQ(as.value().id.key.front(), std::byte{0x0f});
  EXPECT_EQ(as.value().id.address.back(), std::byte{0xa5});
  EXPECT_EQ(id_to_hex(as.value().id), some_id());
}

TEST(TuttiRunLauncher, EveryIncompleteOrMalformedCombinationIsRefused) {
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

TEST(TuttiRunLauncher, ARankOutsideTheSizeIsRefused) {
  expect_refused("2", "2", some_id());
  expect_refused("-1", "2", some_id());
  expect_refused("0", "0", some_id());
  expect_refused("0", "-2", some_id());
}

}  // namespace
}  // namespace tutti
