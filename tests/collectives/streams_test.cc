// Streams of the host: many operations in flight on several streams and communicators, each rank with streams of its own choice; callbacks
// in their order; a NULL-stream call behind all that was submitted before it.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <thread>

#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

class Streams {
 public:
  explicit Streams(size_t count) : streams_(count, nullptr) {
    for (tuttiStream_t& stream : streams_) EXPECT_EQ(tuttiStreamCreate(&stream), tuttiSuccess);
  }
  Streams(const Streams&) = delete;
  ~Streams() {
    for (const tuttiStream_t stream : streams_) EXPECT_EQ(tuttiStreamDestroy(stream), tuttiSuccess);
  }
  tuttiStream_t operator[](size_t i) const { return streams_[i]; }
  size_t size() const { return streams_.size(); }
  Finding synchronize() const {
    Finding found;
    for (const tuttiStream_t stream : streams_) found += expect_success(tuttiStreamSynchronize(stream), "synchronize");
    return found;
  }

 private:
  std::vector<tuttiStream_t> streams_;
};

// The k-th of the calls that all ranks make, small as a rule.
Call call_number(uint64_t k, int nranks) {
  Random random(mixed(k, 4711));
  constexpr Kind kSome[] = {Kind::kAllReduce, Kind::kAllGather, Kind::kReduceScatter, Kind::kBroadcast, Kind::kReduce,
                            Kind::kAllToAll,  Kind::kGatherV,   Kind::kAllToAllV,     Kind::kBarrier};
  Call call{.kind = kSome[random.below(std::size(kSome))],
            .type = all_types()[random.below(size_t{kTypes})].type,
            .op = static_cast<Op>(random.below(kOps)),
            .root = random.below(nranks),
            .count = random.one_in(10) ? size_t{30'000} : random.below(size_t{60}),
            .seed = k};
  const auto n = static_cast<size_t>(nranks);
  for (size_t i = 0; i < n * n; ++i) call.counts.push_back(random.below(size_t{40}));
  if (call.kind != Kind::kAllToAllV) call.counts.resize(n);
  return call;
}

// What a callback sees: the operation before it is complete and right, and callbacks come in their order.
struct Seen {
  const RankCall* call;
  size_t number;         // of its stream's
  size_t* next;          // number
  Finding* first_wrong;  // read after synchronization
};

void look(void* context) {
  const Seen& seen = *static_cast<const Seen*>(context);
  if (*seen.next != seen.number) *seen.first_wrong += "a callback out of order. ";
  ++*seen.next;
  *seen.first_wrong += seen.call->check();
}

class StreamsTest : public ::testing::TestWithParam<int> {
 protected:
  World& world(double timeout_s) {
    Finding found;
    World& made = world_of({.nranks = GetParam(), .timeout_s = timeout_s}, found);
    EXPECT_TRUE(nothing_wrong(found));
    return made;
  }
};

TEST_P(StreamsTest, ManyOperationsInFlight) {
  constexpr uint64_t kCalls = 120;
  const int nranks = GetParam();
  World &a = world(110), &b = world(111);
  const Finding found = team().run(nranks, [&](int rank) -> Finding {
    Random random(static_cast<uint64_t>(rank) + 99);
    const Streams streams(1 + random.below(size_t{3}));
    std::deque<RankCall> calls;
    std::deque<Seen> seen;
    std::vector<size_t> submitted(streams.size(), 0), next(streams.size(), 0);
    std::vector<Finding> wrong(streams.size());
    for (uint64_t k = 0; k < kCalls; ++k) {
      const Member& member = k % 3 == 0 ? b.member(rank) : a.member(rank);
      const auto oracle = std::make_shared<const Oracle>(call_number(k, nranks), nranks);
      RankCall& call = calls.emplace_back(oracle, rank, random_layout(random.next()));
      const size_t s = random.below(streams.size());
      const tuttiResult_t result = call.issue(member, streams[s]);
      if (result != tuttiSuccess) return expect_success(result, "call " + std::to_string(k), member.comm);
      if (!random.one_in(2)) continue;
      seen.push_back({.call = &call, .number = submitted[s]++, .next = &next[s], .first_wrong = &wrong[s]});
      if (tuttiStreamAddCallback(streams[s], look, &seen.back()) != tuttiSuccess) return "no callback";
    }
    Finding problem = streams.synchronize();
    for (size_t s = 0; s < streams.size(); ++s) {
      problem += wrong[s];
      if (tuttiStreamQuery(streams[s]) != tuttiSuccess) problem += "a synchronized stream is busy. ";
      if (next[s] != submitted[s]) problem += "a callback did not come. ";
    }
    for (const RankCall& call : calls) problem += call.check();
    return problem;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

TEST_P(StreamsTest, NullStreamFollowsAll) {
  const int nranks = GetParam();
  World& a = world(110);
  const Finding found = a.run([&](int rank, const Member& member) -> Finding {
    Random random(static_cast<uint64_t>(rank) + 7);
    const Streams streams(2);
    Finding problem;
    for (uint64_t round = 0; round < 15 && problem.empty(); ++round) {
      std::deque<RankCall> calls;
      for (uint64_t k = 0; k < 4; ++k) {
        const auto oracle = std::make_shared<const Oracle>(call_number(1000 + 10 * round + k, nranks), nranks);
        const tuttiStream_t stream = k == 3 ? nullptr : streams[random.below(size_t{2})];
        problem += expect_success(calls.emplace_back(oracle, rank, Layout{}).issue(member, stream), "a call", member.comm);
      }
      for (const RankCall& call : calls) problem += call.check();  // all complete, without synchronization
    }
    return problem;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

TEST_P(StreamsTest, QuerySaysInProgress) {
  const int nranks = GetParam();
  if (nranks == 1) return;
  World& a = world(110);
  std::atomic<bool> looked{false};
  const Finding found = a.run([&](int rank, const Member& member) -> Finding {
    const Streams streams(1);
    while (rank != 0 && !looked) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Finding problem = expect_success(tuttiBarrier(member.comm, streams[0]), "barrier", member.comm);
    if (rank == 0) {
      if (tuttiStreamQuery(streams[0]) != tuttiInProgress) problem += "not in progress, though nobody else has come. ";
      looked = true;
    }
    problem += streams.synchronize();
    if (tuttiStreamQuery(streams[0]) != tuttiSuccess) problem += "busy after synchronization. ";
    return problem;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

// What a call leaves on a stream needs nothing of the thread that made it.
TEST_P(StreamsTest, OutlivesTheCallingThread) {
  const int nranks = GetParam();
  World& a = world(110);
  const Finding found = a.run([&](int rank, const Member& member) -> Finding {
    const Streams streams(1);
    std::deque<RankCall> calls;
    Finding problem;
    std::thread caller([&] {
      for (const Kind kind : {Kind::kBarrier, Kind::kAllReduce, Kind::kBarrier, Kind::kAllGatherV, Kind::kBarrier}) {
        const Call call = {.kind = kind, .count = 50, .counts = std::vector<size_t>(static_cast<size_t>(nranks), 50), .seed = 3};
        RankCall& made = calls.emplace_back(std::make_shared<const Oracle>(call, nranks), rank, Layout{});
        problem += expect_success(made.issue(member, streams[0]), "a call", member.comm);
      }
    });
    caller.join();
    problem += expect_success(tuttiBarrier(member.comm, nullptr), "barrier", member.comm);
    problem += streams.synchronize();
    for (const RankCall& call : calls) problem += call.check();
    return problem;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

// In one group, operations of a communicator on streams that differ from rank to rank.
TEST_P(StreamsTest, GroupsOverStreams) {
  const int nranks = GetParam();
  World &a = world(15), &b = world(16);
  Finding found;
  for (uint64_t round = 0; round < 15 && found.empty(); ++round) {
    found = team().run(nranks, [&](int rank) -> Finding {
      Random random(mixed(round, static_cast<uint64_t>(rank)));
      const Streams streams(2);
      std::deque<RankCall> calls;
      Finding problem;
      static_cast<void>(tuttiGroupStart());
      for (uint64_t k = 0; k < 6; ++k) {
        const Member& member = k % 3 == 0 ? b.member(rank) : a.member(rank);
        const auto oracle = std::make_shared<const Oracle>(call_number(2000 + 10 * round + k, nranks), nranks);
        const size_t s = random.below(size_t{3});
        const tuttiStream_t stream = s == 2 ? nullptr : streams[s];
        problem += expect_success(calls.emplace_back(oracle, rank, Layout{}).issue(member, stream), "a call", member.comm);
      }
      problem += expect_success(tuttiGroupEnd(), "group end");
      problem += streams.synchronize();
      for (const RankCall& call : calls) problem += call.check();
      return problem;
    });
    EXPECT_TRUE(nothing_wrong(found)) << "round " << round;
  }
  forget_worlds();
}

INSTANTIATE_TEST_SUITE_P(Ranks, StreamsTest, ::testing::Values(1, 2, 4, 6), ::testing::PrintToStringParamName());

TEST(StreamArguments, AreChecked) {
  int nothing = 0;
  tuttiStream_t stream = nullptr;
  EXPECT_EQ(tuttiStreamCreate(nullptr), tuttiInvalidArgument);
  EXPECT_EQ(tuttiStreamSynchronize(&nothing), tuttiInvalidArgument);
  EXPECT_EQ(tuttiStreamDestroy(nullptr), tuttiSuccess);
  ASSERT_EQ(tuttiStreamCreate(&stream), tuttiSuccess);
  EXPECT_EQ(tuttiStreamAddCallback(stream, nullptr, nullptr), tuttiInvalidArgument);
  ASSERT_EQ(tuttiStreamDestroy(stream), tuttiSuccess);
  EXPECT_EQ(tuttiStreamQuery(stream), tuttiInvalidArgument);  // gone
}

}  // namespace
}  // namespace tutti::test
