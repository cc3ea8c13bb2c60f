// Every wrong argument of the functions that make a communicator: the code, what the message says, and that *comm is NULL afterwards.
#include <cmath>
#include <limits>

#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

tuttiUniqueId fresh_id() {
  tuttiUniqueId id;
  EXPECT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  return id;
}

// Whatever the handle held before.
tuttiComm_t stale() {
  static int anything;
  return reinterpret_cast<tuttiComm_t>(&anything);
}

void expect_refused(int nranks, const tuttiUniqueId& id, int rank, const tuttiConfig_t* config, const std::string& fragment) {
  tuttiComm_t comm = stale();
  EXPECT_EQ(tuttiCommInitRankConfig(&comm, nranks, id, rank, config), tuttiInvalidArgument) << fragment;
  EXPECT_EQ(comm, nullptr);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiCommInitRankConfig: "));
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), fragment));
}

TEST(InitErrors, RankAndRankCount) {
  const tuttiUniqueId id = fresh_id();
  expect_refused(0, id, 0, nullptr, "nranks is 0");
  expect_refused(-3, id, 0, nullptr, "nranks is -3");
  expect_refused(std::numeric_limits<int>::max(), id, 0, nullptr, "nranks is 2147483647");
  expect_refused(2, id, -1, nullptr, "rank is -1: give 0 .. 1");
  expect_refused(2, id, 2, nullptr, "rank is 2: give 0 .. 1");
}

TEST(InitErrors, AnIdThatIsNotOurs) {
  tuttiUniqueId zeros = {};
  expect_refused(2, zeros, 0, nullptr, "id was not made by tuttiGetUniqueId");
  tuttiUniqueId noise;
  for (char& byte : noise.internal) byte = 'x';
  expect_refused(2, noise, 0, nullptr, "id was not made by tuttiGetUniqueId");
}

TEST(InitErrors, NullPointers) {
  const tuttiUniqueId id = fresh_id();
  EXPECT_EQ(tuttiCommInitRank(nullptr, 1, id, 0), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiCommInitRank: comm is NULL"));
  EXPECT_EQ(tuttiCommInitRankConfig(nullptr, 1, id, 0, nullptr), tuttiInvalidArgument);
  EXPECT_EQ(tuttiCommInitAll(nullptr, 1, nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "comms is NULL"));
  EXPECT_EQ(tuttiCommInitFromEnv(nullptr, nullptr), tuttiInvalidArgument);
  EXPECT_EQ(tuttiGetUniqueId(nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiGetUniqueId: id is NULL"));
  EXPECT_EQ(tuttiGetVersion(nullptr), tuttiInvalidArgument);
}

TEST(InitErrors, InitAll) {
  tuttiComm_t comms[2] = {stale(), stale()};
  EXPECT_EQ(tuttiCommInitAll(comms, 0, nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "ndev is 0"));
  EXPECT_EQ(tuttiCommInitAll(comms, -1, nullptr), tuttiInvalidArgument);
  EXPECT_EQ(tuttiCommInitAll(comms, std::numeric_limits<int>::max(), nullptr), tuttiInvalidArgument);
  const int devices[] = {0, 1};
  EXPECT_EQ(tuttiCommInitAll(comms, 2, devices), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "devlist must be NULL"));
}

TEST(InitErrors, ConfigHeader) {
  const tuttiUniqueId id = fresh_id();
  tuttiConfig_t config = unset_config();
  config.magic = 0;
  expect_refused(1, id, 0, &config, "TUTTI_CONFIG_INITIALIZER");
  config = unset_config();
  config.size = 4;
  expect_refused(1, id, 0, &config, "TUTTI_CONFIG_INITIALIZER");
  config = unset_config();
  config.size = sizeof config + 8;
  expect_refused(1, id, 0, &config, "newer Tutti");
  tuttiConfig_t zeroed = {};
  expect_refused(1, id, 0, &zeroed, "TUTTI_CONFIG_INITIALIZER");
}

TEST(InitErrors, ConfigValues) {
  const tuttiUniqueId id = fresh_id();
  const struct {
    const char* name;
    double tuttiConfig_t::*field;
  } kFields[] = {{"config->initTimeout", &tuttiConfig_t::initTimeout},
                 {"config->timeout", &tuttiConfig_t::timeout},
                 {"config->spin", &tuttiConfig_t::spin},
                 {"config->yield", &tuttiConfig_t::yield}};
  for (const auto& each : kFields) {
    for (const double bad : {-2.0, -0.001, std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300}) {
      tuttiConfig_t config = unset_config();
      config.*each.field = bad;
      expect_refused(1, id, 0, &config, each.name);
    }
  }
}

TEST(InitErrors, AnUnknownAlgorithmNamesThoseThereAre) {
  tuttiConfig_t config = unset_config();
  config.algorithm = "telepathy";
  expect_refused(1, fresh_id(), 0, &config, "no algorithm 'telepathy'");
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "ring"));
}

TEST(InitErrors, AnUnknownDeviceNamesThoseThereAre) {
  tuttiConfig_t config = unset_config();
  config.device = "abacus";
  expect_refused(1, fresh_id(), 0, &config, "no device 'abacus'");
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "there are host"));
}

// A program built against an older header gives a shorter struct; what it does not have is unset.
TEST(InitErrors, AnOlderProgramsConfigIsTaken) {
  for (const size_t size : {offsetof(tuttiConfig_t, initTimeout), offsetof(tuttiConfig_t, spin), offsetof(tuttiConfig_t, algorithm),
                            offsetof(tuttiConfig_t, device)}) {
    tuttiConfig_t config = unset_config();
    config.size = size;
    if (size <= offsetof(tuttiConfig_t, algorithm)) config.algorithm = "telepathy";  // behind the end: not looked at
    config.device = "abacus";
    tuttiComm_t comm = nullptr;
    EXPECT_EQ(tuttiCommInitRankConfig(&comm, 1, fresh_id(), 0, &config), tuttiSuccess) << tuttiGetLastError(nullptr);
    EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
  }
}

TEST(InitErrors, LegalValuesOfEveryFieldAreTaken) {
  tuttiConfig_t config = unset_config();
  config.initTimeout = 0;
  config.timeout = 0;
  config.spin = 0;
  config.yield = 0;
  config.algorithm = "ring";
  config.device = "host";
  ApiRanks ranks(3, &config);
  ranks.each([](int rank, tuttiComm_t comm) {
    GuardedFloats data(1000);
    data.fill(rank);
    EXPECT_EQ(all_reduce(data.data(), data.data(), 1000, comm), tuttiSuccess);
    EXPECT_TRUE(data.holds_sum(3));
  });
}

TEST(InitErrors, AConfigThatDiffersIsToldToAllRanks) {
  const tuttiUniqueId id = fresh_id();
  const auto init = [&](int rank, const char* algorithm) {
    tuttiConfig_t config = unset_config();
    config.algorithm = algorithm;
    tuttiComm_t comm = stale();
    EXPECT_EQ(tuttiCommInitRankConfig(&comm, 2, id, rank, &config), tuttiInvalidUsage);
    EXPECT_EQ(comm, nullptr);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "algorithm=one_shot"));
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "algorithm=ring"));
  };
  std::thread other(init, 1, "ring");
  init(0, "one_shot");
  other.join();
}

TEST(InitErrors, WhoNeverCameIsListed) {
  tuttiConfig_t config = unset_config();
  config.initTimeout = 0.1;
  tuttiComm_t comm = stale();
  EXPECT_EQ(tuttiCommInitRankConfig(&comm, 3, fresh_id(), 1, &config), tuttiTimeout);
  EXPECT_EQ(comm, nullptr);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "these never came within 0.1 s of the first: 0, 2."));
}

TEST(InitErrors, AnIdServesOnce) {
  const tuttiUniqueId id = fresh_id();
  tuttiComm_t comm = nullptr, again = stale();
  ASSERT_EQ(tuttiCommInitRank(&comm, 1, id, 0), tuttiSuccess);
  EXPECT_EQ(tuttiCommInitRank(&again, 1, id, 0), tuttiInvalidUsage);
  EXPECT_EQ(again, nullptr);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "make a new id"));
  EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
}

TEST(InitErrors, WithoutALauncherTheJobHasOneRank) {
  tuttiComm_t comm = nullptr;
  ASSERT_EQ(tuttiCommInitFromEnv(&comm, nullptr), tuttiSuccess) << tuttiGetLastError(nullptr);
  int n = 0;
  EXPECT_EQ(tuttiCommCount(comm, &n), tuttiSuccess);
  EXPECT_EQ(n, 1);
  EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
}

TEST(InitErrors, HalfALauncherIsRefused) {
  setenv("TUTTI_RANK", "0", 1);
  tuttiComm_t comm = stale();
  EXPECT_EQ(tuttiCommInitFromEnv(&comm, nullptr), tuttiInvalidUsage);
  unsetenv("TUTTI_RANK");
  EXPECT_EQ(comm, nullptr);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tutti-run"));
}

}  // namespace
}  // namespace tutti
