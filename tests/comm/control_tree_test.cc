// The control tree: everybody gets the table, messages reach whom they are for, ends in good order and others are told apart, strangers and
// broken peers harm nobody. Ranks are threads here; tests/api/health_test.cc has processes that die.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "comm/tree_node.h"
#include "tests/comm/raw_guest.h"
#include "tests/support/eventually.h"
#include "tests/support/sanitizers.h"

namespace tutti {
namespace {

Bytes bytes_of(int rank) {
  return Bytes(static_cast<size_t>(rank) % 7, static_cast<std::byte>(rank));
}

RendezvousId open() {
  const Result<RendezvousId> id = open_rendezvous();
  EXPECT_TRUE(id.ok()) << id.status().message();
  return id.value();
}

// One thread a rank; ranks of a node are told apart by `node`.
std::vector<std::shared_ptr<ControlTree>> join_all(int n, const std::function<uint64_t(int)>& node) {
  const RendezvousId id = open();
  std::vector<std::shared_ptr<ControlTree>> trees(static_cast<size_t>(n));
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < n; ++rank) {
    ranks.emplace_back([&, rank] {
      Result<ControlTree::Joined> joined = ControlTree::join(id, {.rank = rank, .nranks = n, .node = node(rank)}, bytes_of(rank));
      ASSERT_TRUE(joined.ok()) << joined.status().message();
      ASSERT_EQ(joined->table.size(), static_cast<size_t>(n));
      for (int other = 0; other < n; ++other) ASSERT_EQ(joined->table[static_cast<size_t>(other)], bytes_of(other)) << other;
      trees[static_cast<size_t>(rank)] = joined->tree;
    });
  }
  for (std::thread& rank : ranks) rank.join();
  return trees;
}

uint64_t one_node(int) {
  return 0;
}

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

struct Heard {
  int from;
  uint16_t kind;
  Bytes payload;
};

class Ear final : public TreeListener {
 public:
  void on_message(int from, uint16_t kind, std::span<const std::byte> payload) override {
    std::lock_guard lock(mutex_);
    heard_.push_back({from, kind, Bytes(payload.begin(), payload.end())});
  }
  void on_died(int rank, const std::string& how) override {
    std::lock_guard lock(mutex_);
    died_.emplace_back(rank, how);
  }
  std::vector<Heard> heard() const {
    std::lock_guard lock(mutex_);
    return heard_;
  }
  std::vector<std::pair<int, std::string>> died() const {
    std::lock_guard lock(mutex_);
    return died_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Heard> heard_;
  std::vector<std::pair<int, std::string>> died_;
};

TEST(ControlTree, EverybodyGetsTheTable) {
  for (int n = 1; n <= 64; n += n < 20 || !kUnderThreadSanitizer ? 1 : 11) {
    SCOPED_TRACE(n);
    join_all(n, one_node);
  }
}

TEST(ControlTree, RanksOfSeveralNodesInAnyOrder) {
  for (const int n : {2, 9, 10, 30}) {
    join_all(n, [](int rank) { return static_cast<uint64_t>(rank % 3); });
    join_all(n, [](int rank) { return static_cast<uint64_t>(rank * 7919 % 5); });
  }
}

TEST(ControlTree, TwoHundredAndFiftySixRanks) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 3000) GTEST_SKIP() << "256 ranks in one process take 3,000 descriptors; there are " << limit.rlim_cur;
  if (kUnderThreadSanitizer) GTEST_SKIP() << "256 threads are too many for ThreadSanitizer; 64 are not";
  join_all(256, one_node);
}

TEST(ControlTree, NothingIsLeftBehind) {
  join_all(3, one_node);  // the control thread and its descriptors are there
  const size_t before = open_descriptors();
  join_all(40, one_node);
  EXPECT_TRUE(eventually([&] { return open_descriptors() <= before + 1; }))
      << "only the rendezvous stays: " << before << ", now " << open_descriptors();
}

TEST(ControlTree, MessagesGoToWhomTheyAreForInTheirOrder) {
  constexpr int kRanks = 30;
  constexpr uint16_t kEach = 20;
  const auto trees = join_all(kRanks, [](int rank) { return static_cast<uint64_t>(rank % 4); });
  std::vector<std::shared_ptr<Ear>> ears;
  for (const auto& tree : trees) {
    ears.push_back(std::make_shared<Ear>());
    if (ears.size() % 2 == 0) tree->attach(3, ears.back());  // the others come after the messages
  }
  for (uint16_t i = 0; i < kEach; ++i) {
    for (int from = 0; from < kRanks; ++from) {
      const auto& tree = trees[static_cast<size_t>(from)];
      tree->send(3, (from + 1 + i) % kRanks, i, bytes_of(from));
      tree->flood(3, static_cast<uint16_t>(100 + i), {});
      tree->flood(4, 1, {});  // nobody listens to that context
    }
  }
  for (size_t rank = 0; rank < ears.size(); rank += 2) trees[rank]->attach(3, ears[rank]);
  const size_t expected = kEach + kEach * (kRanks - 1);
  for (int rank = 0; rank < kRanks; ++rank) {
    const Ear& ear = *ears[static_cast<size_t>(rank)];
    ASSERT_TRUE(eventually([&] { return ear.heard().size() >= expected; })) << "rank " << rank << " heard " << ear.heard().size();
    std::vector<uint16_t> next_flood(kRanks, 100);
    for (const Heard& heard : ear.heard()) {
      if (heard.kind >= 100) {
        EXPECT_EQ(heard.kind, next_flood[static_cast<size_t>(heard.from)]++);
        EXPECT_NE(heard.from, rank);
      } else {
        EXPECT_EQ((heard.from + 1 + heard.kind) % kRanks, rank);
        EXPECT_EQ(heard.payload, bytes_of(heard.from));
      }
    }
    EXPECT_EQ(ear.heard().size(), expected);
    EXPECT_TRUE(ear.died().empty());
  }
}

// Rank 1 is the parent of positions 9 to 16.
TEST(ControlTree, WhoHasLeftGoesOnForwarding) {
  auto trees = join_all(20, one_node);
  const auto ear = std::make_shared<Ear>(), other = std::make_shared<Ear>();
  trees[12]->attach(0, ear);
  trees[2]->attach(0, other);
  for (const int leaving : {0, 1, 3}) trees[static_cast<size_t>(leaving)].reset();
  trees[2]->send(0, 12, 7, bytes_of(2));
  trees[12]->send(0, 2, 8, bytes_of(12));
  EXPECT_TRUE(eventually([&] { return ear->heard().size() == 1 && other->heard().size() == 1; }));
  EXPECT_TRUE(ear->died().empty());
  EXPECT_TRUE(other->died().empty());
}

TEST(ControlTree, BringingTooMuchIsRefused) {
  const Result<ControlTree::Joined> joined = ControlTree::join(open(), {.rank = 0, .nranks = 1}, Bytes(kMaxJoinBytes + 1));
  ASSERT_FALSE(joined.ok());
  EXPECT_EQ(joined.status().code(), Code::kInvalidUsage);
}

// Rank 1 of two by hand: it knows the key, and says what it is told to after its place.
class Child {
 public:
  explicit Child(const RendezvousId& id, const Key& key_of_tree) : guest_(id) {
    EXPECT_TRUE(guest_.join(id.key, make_hello(1, 2), arrival_bytes()));
    const std::optional<Frame> frame = guest_.receive();
    if (!frame) return;
    const std::optional<Place> place = decode_place(frame->body, 2);
    if (!place) return;
    EXPECT_EQ(place->parent, 0);
    RendezvousId control = id;
    control.address = place->parent_control.address;
    control.port = place->parent_control.port;
    parent_.emplace(control);
    Hello hello = make_hello(1, 2);
    hello.to = 0;
    hello_ = encode_hello(hello);
    EXPECT_TRUE(parent_->send(FrameType::kHello, hello_));
    const std::optional<Frame> challenge = parent_->receive();
    if (!challenge) return;
    ByteReader reader(challenge->body);
    const Nonce nonce = reader.array<Nonce>();
    EXPECT_TRUE(equal_macs(reader.array<Mac>(), handshake_proof(id.key, Role::kParent, nonce, hello_)));
    EXPECT_TRUE(parent_->send(FrameType::kJoin, join_body(handshake_proof(key_of_tree, Role::kChild, nonce, hello_), {})));
  }
  RawGuest& parent() { return *parent_; }
  void gather() { parent().send(FrameType::kGather, encode_part({{1, {1, bytes_of(1)}}})); }

 private:
  RawGuest guest_;
  std::optional<RawGuest> parent_;
  Bytes hello_;
};

std::future<Result<ControlTree::Joined>> join_zero(const RendezvousId& id, double timeout_s = 60) {
  return std::async(std::launch::async,
                    [id, timeout_s] { return ControlTree::join(id, {.rank = 0, .nranks = 2, .timeout_s = timeout_s}, {}); });
}

void expect_error(const Result<ControlTree::Joined>& joined, Code code, const std::string& fragment) {
  ASSERT_FALSE(joined.ok());
  EXPECT_EQ(joined.status().code(), code) << joined.status().message();
  EXPECT_NE(joined.status().message().find(fragment), std::string::npos) << joined.status().message();
}

TEST(BrokenChild, OneThatSendsMalformedDataIsNamed) {
  for (const Bytes& data : {Bytes(3), Bytes(40, std::byte{0xff}), encode_part({{0, {0, {}}}, {1, {1, {}}}})}) {
    const RendezvousId id = open();
    auto zero = join_zero(id);
    Child one(id, id.key);
    one.parent().send(FrameType::kGather, data);
    expect_error(zero.get(), Code::kRemote, ") was lost before all ranks had come: it sent malformed data");
  }
}

TEST(BrokenChild, OneThatGoesBeforeItsDataIsNamed) {
  const RendezvousId id = open();
  auto zero = join_zero(id);
  { Child one(id, id.key); }
  expect_error(zero.get(), Code::kRemote, ") ended before all ranks had come");
}

// It has its place, and no connection in the tree yet that could tell of it.
TEST(BrokenChild, OneThatGoesBetweenItsPlaceAndItsParentIsNamed) {
  const RendezvousId id = open();
  auto zero = join_zero(id);
  {
    RawGuest one(id);
    ASSERT_TRUE(one.join(id.key, make_hello(1, 2), arrival_bytes()));
    const std::optional<Frame> place = one.receive();
    ASSERT_TRUE(place && place->type == FrameType::kPlace);
  }
  expect_error(zero.get(), Code::kRemote, "rank 1 (host ");
}

// Who misses a child says so before those who wait for the table blame who has not sent it.
TEST(BrokenChild, OneThatNeverReachesItsParentIsNamedByAll) {
  const RendezvousId id = open();
  const auto join = [id](int rank) { return ControlTree::join(id, {.rank = rank, .nranks = 3, .timeout_s = 0.3}, {}); };
  auto zero = std::async(std::launch::async, join, 0);
  auto one = std::async(std::launch::async, join, 1);
  RawGuest two(id);
  ASSERT_TRUE(two.join(id.key, make_hello(2, 3), arrival_bytes()));
  for (auto* joined : {&zero, &one}) expect_error(joined->get(), Code::kTimeout, "waited in vain for the data of rank 2 (host ");
}

TEST(BrokenChild, OneThatNeverBringsItsDataIsNamed) {
  const RendezvousId id = open();
  auto zero = join_zero(id, 0.1);
  Child one(id, id.key);
  expect_error(zero.get(), Code::kTimeout, "for the data of rank 1");
  EXPECT_NE(refusal_text(one.parent().receive()).find("for the data of rank 1"), std::string::npos) << "it is told, too";
}

TEST(BrokenChild, OneWithoutTheKeyIsNoChild) {
  const RendezvousId id = open();
  auto zero = join_zero(id, 0.1);
  Child one(id, Key{});
  EXPECT_TRUE(one.parent().closed_without_a_word());
  expect_error(zero.get(), Code::kTimeout, "for the data of rank 1");
}

TEST(BrokenChild, AWordThatIsNoProtocolAndASilentEndAreDeaths) {
  const struct {
    std::function<void(RawGuest&)> last_word;
    const char* how;
  } kCases[] = {{[](RawGuest&) {}, "died: see what its process said last"},
                {[](RawGuest& g) { g.send(Bytes(100, std::byte{0xee})); }, "broke the control protocol"},
                {[](RawGuest& g) { g.send(FrameType::kMessage, Bytes(3)); }, "broke the control protocol: it sent a malformed message"},
                {[](RawGuest& g) { g.send(FrameType::kMessage, encode_message({.from = 1, .to = 99})); }, "it sent a malformed message"},
                {[](RawGuest& g) { g.send(FrameType::kTable, Bytes(3)); }, "it sent a malformed table"},
                {[](RawGuest& g) { g.send(FrameType::kHello, Bytes(3)); }, "it speaks out of turn"}};
  for (const auto& each : kCases) {
    const RendezvousId id = open();
    auto zero = join_zero(id);
    const auto ear = std::make_shared<Ear>();
    std::shared_ptr<ControlTree> tree;
    {
      Child one(id, id.key);
      one.gather();
      const std::optional<Frame> table = one.parent().receive();
      ASSERT_TRUE(table && table->type == FrameType::kTable);
      Result<ControlTree::Joined> joined = zero.get();
      ASSERT_TRUE(joined.ok()) << joined.status().message();
      tree = joined->tree;
      tree->attach(0, ear);
      each.last_word(one.parent());
    }
    ASSERT_TRUE(eventually([&] { return !ear->died().empty(); }));
    EXPECT_EQ(ear->died().front().first, 1);
    EXPECT_NE(ear->died().front().second.find(each.how), std::string::npos) << ear->died().front().second;
  }
}

TEST(BrokenChild, AGoodbyeIsNoDeath) {
  const RendezvousId id = open();
  auto zero = join_zero(id);
  const auto ear = std::make_shared<Ear>();
  std::shared_ptr<ControlTree> tree;
  {
    Child one(id, id.key);
    one.gather();
    ASSERT_TRUE(one.parent().receive());
    tree = zero.get()->tree;
    tree->attach(0, ear);
    one.parent().send(FrameType::kMessage, encode_message({.from = 1, .to = 0, .kind = 5}));
    one.parent().send(FrameType::kGoodbye, {});
  }
  ASSERT_TRUE(eventually([&] { return !ear->heard().empty(); }));
  tree.reset();  // waits for nobody
  EXPECT_TRUE(ear->died().empty());
}

// Thousands that connect and say nothing: ranks meet nevertheless, and the listener keeps a bounded number of them.
TEST(Strangers, TwoThousandIdleConnections) {
  constexpr size_t kIdle = 2000;
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 2 * kIdle + 500) GTEST_SKIP() << "takes " << 2 * kIdle + 500 << " descriptors; there are " << limit.rlim_cur;
  const RendezvousId id = open();
  auto zero = join_zero(id);  // comes first, or among them
  std::vector<RawGuest> idle;
  for (size_t i = 0; i < kIdle; ++i) idle.emplace_back(id);
  const Result<ControlTree::Joined> one = ControlTree::join(id, {.rank = 1, .nranks = 2}, {});
  ASSERT_TRUE(one.ok()) << one.status().message();
  const Result<ControlTree::Joined> joined = zero.get();
  ASSERT_TRUE(joined.ok()) << joined.status().message();
  // They are still there, and more come, while messages go along the tree.
  const auto ear = std::make_shared<Ear>();
  joined.value().tree->attach(0, ear);
  for (uint16_t i = 0; i < 100; ++i) {
    one.value().tree->send(0, 0, i, {});
    idle.emplace_back(id);
  }
  EXPECT_TRUE(eventually([&] { return ear->heard().size() == 100; }));
  EXPECT_TRUE(idle.front().closed_without_a_word()) << "the oldest had to go";
}

// Where descriptors run out the listener rests, and serves again as soon as there are some.
TEST(Strangers, NoDescriptorsLeftIsNoSpin) {
  const RendezvousId id = open();
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  std::optional<RawGuest> guest(id);
  ASSERT_TRUE(guest->introduce(id.key, make_hello(0, 1, 1)));
  rlimit tight = limit;
  tight.rlim_cur = open_descriptors() + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<Fd> all;
  for (int fd = 0; (fd = dup(0)) >= 0;) all.emplace_back(fd);
  ASSERT_FALSE(all.empty());
  all.pop_back();
  RawGuest late(id);  // takes the last one: it cannot be accepted
  rusage before, after;
  ASSERT_EQ(getrusage(RUSAGE_SELF, &before), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ASSERT_EQ(getrusage(RUSAGE_SELF, &after), 0);
  const auto cpu_us = [](const rusage& u) {
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1'000'000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
  };
  EXPECT_LT(cpu_us(after) - cpu_us(before), 150'000) << "half of the time at least nothing runs: a spinning listener takes all of it";
  all.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(late.join(id.key, make_hello(0, 1, 2), arrival_bytes()));
  const std::optional<Frame> place = late.receive();
  EXPECT_TRUE(place && place->type == FrameType::kPlace);
}

}  // namespace
}  // namespace tutti
