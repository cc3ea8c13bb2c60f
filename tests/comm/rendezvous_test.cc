// The rendezvous among well-behaved ranks: all meet and get everybody's bytes; and when they cannot, everybody who came is told why.
#include "comm/rendezvous.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <future>
#include <thread>

#include "tests/comm/raw_guest.h"

namespace tutti {
namespace {

using Table = Result<std::vector<Bytes>>;

Bytes bytes_of(int rank, uint32_t meeting = 0) {
  Bytes bytes(static_cast<size_t>(rank) % 5, static_cast<std::byte>(rank));  // uneven, some empty
  if (!bytes.empty()) bytes[0] = static_cast<std::byte>(meeting);
  return bytes;
}

RendezvousId open() {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok()) << id.status().message();
  return id.value();
}

std::future<Table> join_async(const RendezvousId& id, const Joining& joining) {
  return std::async(std::launch::async, [id, joining] { return join_table(id, joining, bytes_of(joining.rank, joining.meeting)); });
}

void expect_whole(const Table& table, int nranks, uint32_t meeting = 0) {
  ASSERT_TRUE(table.ok()) << table.status().message();
  ASSERT_EQ(table.value().size(), static_cast<size_t>(nranks));
  for (int rank = 0; rank < nranks; ++rank) EXPECT_EQ(table.value()[static_cast<size_t>(rank)], bytes_of(rank, meeting)) << rank;
}

void expect_error(const Table& table, Code code, const std::string& fragment) {
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.status().code(), code) << table.status().message();
  EXPECT_NE(table.status().message().find(fragment), std::string::npos) << table.status().message();
}

TEST(Rendezvous, EverybodyGetsEverybodysBytes) {
  for (const int n : {1, 2, 3, 8, 33}) {
    const RendezvousId id = open();
    std::vector<std::future<Table>> joins;
    for (int rank = 0; rank < n; ++rank) joins.push_back(join_async(id, {.rank = rank, .nranks = n}));
    for (auto& join : joins) expect_whole(join.get(), n);
  }
}

TEST(Rendezvous, TheLargestBringingArrivesWhole) {
  const RendezvousId id = open();
  const Bytes large(kMaxJoinBytes, std::byte{0x5a});
  auto other = std::async(std::launch::async, [&] { return join_table(id, {.rank = 1, .nranks = 2}, large); });
  const Table table = join_table(id, {.rank = 0, .nranks = 2}, large);
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ(table.value(), (std::vector<Bytes>{large, large}));
  EXPECT_TRUE(other.get().ok());
}

TEST(Rendezvous, BringingTooMuchIsRefusedAtOnce) {
  const RendezvousId id = open();
  expect_error(join_table(id, {.rank = 0, .nranks = 2}, Bytes(kMaxJoinBytes + 1)), Code::kInvalidUsage, "4097 bytes");
}

TEST(Rendezvous, SeveralMeetingsAtOneListenerAtOnce) {
  constexpr uint32_t kMeetings = 8;
  constexpr int kRanks = 4;
  const RendezvousId id = open();
  std::vector<std::future<Table>> joins;
  for (int rank = 0; rank < kRanks; ++rank) {
    for (uint32_t meeting = 0; meeting < kMeetings; ++meeting) joins.push_back(join_async(id, {rank, kRanks, meeting}));
  }
  for (size_t i = 0; i < joins.size(); ++i) expect_whole(joins[i].get(), kRanks, i % kMeetings);
}

TEST(Rendezvous, SeveralListenersInOneProcess) {
  const RendezvousId one = open(), two = open();
  auto a = join_async(one, {.rank = 0, .nranks = 2}), b = join_async(two, {.rank = 0, .nranks = 2});
  expect_whole(join_async(two, {.rank = 1, .nranks = 2}).get(), 2);
  expect_whole(join_async(one, {.rank = 1, .nranks = 2}).get(), 2);
  expect_whole(a.get(), 2);
  expect_whole(b.get(), 2);
}

TEST(Rendezvous, ATimeoutListsExactlyTheMissingAndReachesAllWhoCame) {
  const RendezvousId id = open();
  std::vector<std::future<Table>> joins;
  for (const int rank : {0, 2, 4}) joins.push_back(join_async(id, {.rank = rank, .nranks = 6, .timeout_s = 2}));
  for (auto& join : joins) expect_error(join.get(), Code::kTimeout, "of 6 ranks, these never came within 2 s of the first: 1, 3, 5.");
  // Whoever comes too late is told the same.
  expect_error(join_table(id, {.rank = 1, .nranks = 6}, {}), Code::kTimeout, "1, 3, 5.");
}

TEST(Rendezvous, DifferentRankCountsAreToldToAll) {
  const RendezvousId id = open();
  auto zero = join_async(id, {.rank = 0, .nranks = 3}), one = join_async(id, {.rank = 1, .nranks = 2});
  for (auto* join : {&zero, &one}) {
    const Table table = join->get();
    expect_error(table, Code::kInvalidUsage, "give all the same nranks");
    const std::string message = table.status().message();
    const bool both = message.find("told of 2 ranks, others of 3") != std::string::npos ||
                      message.find("told of 3 ranks, others of 2") != std::string::npos;
    EXPECT_TRUE(both) << message;
  }
  expect_error(join_table(id, {.rank = 2, .nranks = 3}, {}), Code::kInvalidUsage, "give all the same nranks");
}

TEST(Rendezvous, TwoOfOneRankAreToldToAll) {
  const RendezvousId id = open();
  auto one = join_async(id, {.rank = 1, .nranks = 3});
  auto twin = join_async(id, {.rank = 0, .nranks = 3}), other_twin = join_async(id, {.rank = 0, .nranks = 3});
  for (auto* join : {&one, &twin, &other_twin}) expect_error(join->get(), Code::kInvalidUsage, "two processes joined as rank 0");
}

TEST(Rendezvous, MoreRanksThanDescriptorsAreToldAtOnce) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const RendezvousId id = open();
  rlimit few = before;
  few.rlim_cur = 500;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const Table first = join_table(id, {.rank = 7, .nranks = 600}, {}), second = join_table(id, {.rank = 9, .nranks = 600}, {});
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  for (const Table* table : {&first, &second}) expect_error(*table, Code::kSystem, "raise `ulimit -n` to at least 632");
}

TEST(Rendezvous, OneMeetingsFailureLeavesTheOthersAlone) {
  const RendezvousId id = open();
  auto waiting = join_async(id, {.rank = 0, .nranks = 2, .meeting = 1});
  auto a = join_async(id, {.rank = 0, .nranks = 3, .meeting = 2}), b = join_async(id, {.rank = 0, .nranks = 3, .meeting = 2});
  EXPECT_FALSE(a.get().ok());
  EXPECT_FALSE(b.get().ok());
  expect_whole(join_async(id, {.rank = 1, .nranks = 2, .meeting = 1}).get(), 2, 1);
  expect_whole(waiting.get(), 2, 1);
}

TEST(Rendezvous, AfterCompletionALateComerIsToldToMakeANewId) {
  const RendezvousId id = open();
  expect_whole(join_table(id, {.rank = 0, .nranks = 1}, {}), 1);
  expect_error(join_table(id, {.rank = 0, .nranks = 1}, {}), Code::kInvalidUsage, "make a new id");
}

TEST(Rendezvous, AWrongKeyIsToldToTheClientAndHarmsNobody) {
  const RendezvousId id = open();
  RendezvousId wrong = id;
  wrong.key[31] ^= std::byte{1};
  expect_error(join_table(wrong, {.rank = 0, .nranks = 2}, {}), Code::kRemote, "does not know this communicator's key");
  auto zero = join_async(id, {.rank = 0, .nranks = 2});
  expect_whole(join_async(id, {.rank = 1, .nranks = 2}).get(), 2);
  expect_whole(zero.get(), 2);
}

TEST(Rendezvous, NobodyListensAnyMore) {
  const FakeListener gone = bind_fake_listener();  // holds the port, but refuses, as the port of an ended process does
  expect_error(join_table(gone.id, {.rank = 0, .nranks = 2}, {}), Code::kRemote, "nobody listens at 127.0.0.1 port ");
}

TEST(Rendezvous, AListenerThatDoesNotKnowTheKeyIsNotBelieved) {
  const FakeListener fake = open_fake_listener();
  auto join = join_async(fake.id, {.rank = 0, .nranks = 1});
  RawGuest guest = accept_guest(fake);
  ASSERT_TRUE(guest.receive().has_value());
  ASSERT_TRUE(guest.send(FrameType::kChallenge, Bytes(64)));
  EXPECT_FALSE(guest.receive().has_value()) << "the rank gave its bytes to a stranger";
  expect_error(join.get(), Code::kRemote, "does not know this communicator's key");
}

TEST(Rendezvous, AListenerThatEndsMeanwhileIsSeen) {
  const FakeListener fake = open_fake_listener();
  auto join = join_async(fake.id, {.rank = 0, .nranks = 1});
  { RawGuest guest = accept_guest(fake); }
  expect_error(join.get(), Code::kRemote, "");
}

TEST(Rendezvous, AListenerThatNeverAnswersIsGivenUp) {
  const FakeListener fake = open_fake_listener();
  expect_error(join_table(fake.id, {.rank = 3, .nranks = 4, .timeout_s = 0.01}, {}), Code::kTimeout, "rank 3 waited");
}

TEST(Rendezvous, IdsComeBackAndForeignBytesAreRefused) {
  const RendezvousId id = open();
  const tuttiUniqueId encoded = encode_id(id);
  const Result<RendezvousId> back = decode_id(encoded);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value().address, id.address);
  EXPECT_EQ(back.value().port, id.port);
  EXPECT_EQ(back.value().key, id.key);
  tuttiUniqueId zeros = {};
  EXPECT_EQ(decode_id(zeros).status().code(), Code::kInvalidArgument);
  tuttiUniqueId other = encoded;
  other.internal[0] ^= 1;
  EXPECT_EQ(decode_id(other).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace tutti
