// Communicators whose ranks' buffers lie in different devices: the host's and those of two vendors of accelerators, in every mixture.
#include <gtest/gtest.h>

#include <deque>

#include "forced.h"
#include "mail.h"
#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"
#include "tests/support/sanitizers.h"

namespace tutti::test {
namespace {

constexpr char kLetters[] = {'h', 'a', 'b'};

// All assignments of devices to up to three ranks; above, one of each multiset, its order drawn by lot.
std::vector<std::string> mixtures(int nranks) {
  const auto n = static_cast<size_t>(nranks);
  std::vector<std::string> all;
  if (nranks <= 3) {
    for (int number = 0; number < (nranks == 2 ? 9 : 27); ++number) {
      std::string& one = all.emplace_back();
      for (int rest = number; one.size() < n; rest /= 3) one += kLetters[rest % 3];
    }
    return all;
  }
  Random random(static_cast<uint64_t>(nranks));
  for (size_t hosts = 0; hosts <= n; ++hosts) {
    for (size_t as = 0; as <= n - hosts; ++as) {
      std::vector<char> one(n, 'b');
      std::fill_n(one.begin(), hosts, 'h');
      std::fill_n(one.begin() + static_cast<std::ptrdiff_t>(hosts), as, 'a');
      random.shuffle(one);
      all.emplace_back(one.begin(), one.end());
    }
  }
  return all;
}

// Nothing, one element, an odd number, and one of several slices at least where slots are small (see CMakeLists.txt).
constexpr size_t kCounts[] = {0, 1, 1003, 50'021};

std::vector<size_t> block_counts(Kind kind, size_t count, int nranks) {
  const auto n = static_cast<size_t>(nranks), blocks = kind == Kind::kAllToAllV ? n * n : n;
  std::vector<size_t> counts;
  for (size_t block = 0; block < blocks; ++block) counts.push_back(block % 3 == 1 ? 0 : count / (block + 1));  // uneven, and some empty
  return counts;
}

class Mixtures : public ::testing::TestWithParam<int> {
 protected:
  void TearDown() override { forget_worlds(); }

  // Every call its own type, reduction and root, in turn; a mixture begins where the last one ended.
  Call next_call(Kind kind, size_t count) {
    const uint64_t turn = turns_++;
    Call call{.kind = kind,
              .type = all_types()[turn % kTypes].type,
              .op = static_cast<Op>((turn + turn / 56) % kOps),
              .root = static_cast<int>(turn % static_cast<uint64_t>(GetParam())),
              .count = count,
              .seed = turn};
    if (is_uneven(kind)) call.counts = block_counts(kind, count, GetParam());
    return call;
  }

  void expect_right(const World& world, const Call& call) {
    const auto oracle = std::make_shared<const Oracle>(call, world.nranks());
    for (const bool in_place : {false, true}) {
      const Finding found = world.run([&](int rank, const Member& member) {
        Layout layout = random_layout(mixed(call.seed, static_cast<uint64_t>(rank)));
        layout.in_place = in_place;
        return RankCall(oracle, rank, layout).run(member);
      });
      ASSERT_TRUE(nothing_wrong(found)) << describe(call) << (in_place ? ", in place" : ", out of place");
      if (call.kind == Kind::kBarrier) break;
    }
  }

  void expect_mail(const World& world, uint64_t seed) {
    std::vector<Message> messages;
    for (int from = 0; from < world.nranks(); ++from) {
      for (int to = 0; to < world.nranks(); ++to) {
        for (const size_t count : {size_t{0}, size_t{1}, size_t{5003}}) {
          messages.push_back({.from = from, .to = to, .type = tuttiInt16, .count = count, .seed = mixed(seed, messages.size())});
        }
      }
    }
    const Finding found = world.run([&](int rank, const Member& member) -> Finding {
      RankMail mail(messages, rank, mixed(seed, static_cast<uint64_t>(rank)) | 1);
      static_cast<void>(tuttiGroupStart());
      Finding issued = mail.issue_all(member, {nullptr});
      issued += expect_success(tuttiGroupEnd(), "group end", member.comm);
      return issued.empty() ? mail.check() : issued;
    });
    ASSERT_TRUE(nothing_wrong(found)) << "sends and receives";
  }

  uint64_t turns_ = 0;
};

TEST_P(Mixtures, EveryCollectiveIsExact) {
  size_t number = 0;
  for (const std::string& devices : mixtures(GetParam())) {
    if (kUnderSanitizer && number++ % 8 != 0) continue;  // they see the same code in all
    SCOPED_TRACE(devices);
    Finding found;
    World& world = world_of({.nranks = GetParam(), .devices = devices}, found);
    ASSERT_TRUE(nothing_wrong(found));
    for (int kind = 0; kind < kKinds; ++kind) {
      for (const size_t count : kCounts) {
        ASSERT_NO_FATAL_FAILURE(expect_right(world, next_call(static_cast<Kind>(kind), count)));
        if (static_cast<Kind>(kind) == Kind::kBarrier) break;
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_mail(world, turns_));
  }
}

// Sums that are rounded, so that another order, or another device's arithmetic, would show: every rank has the same bits, and they are
// those of hosts alone.
TEST_P(Mixtures, EveryRankHasTheHostsBits) {
  const int nranks = GetParam();
  constexpr size_t kElems = 3001;
  const auto results = [&](const std::string& devices, tuttiDataType_t type) {
    std::vector<Bytes> outputs(static_cast<size_t>(nranks));
    Finding found;
    World& world = world_of({.nranks = nranks, .devices = devices}, found);
    found += world.run([&](int rank, const Member& member) -> Finding {
      const size_t bytes = kElems * info_of(type).bytes;
      DeviceBuffer in(random_bytes(mixed(77, static_cast<uint64_t>(rank)), bytes), member.device), out(Bytes(bytes), member.device);
      const tuttiResult_t result = tuttiAllReduce(in.data(), out.data(), kElems, type, tuttiSum, member.comm, nullptr);
      outputs[static_cast<size_t>(rank)] = out.contents();
      return expect_success(result, "all-reduce", member.comm);
    });
    EXPECT_TRUE(nothing_wrong(found));
    return outputs;
  };
  for (const tuttiDataType_t type : {tuttiFloat32, tuttiFloat16, tuttiFloat8e4m3}) {
    const std::vector<Bytes> hosts = results(std::string(static_cast<size_t>(nranks), 'h'), type);
    for (const std::string& devices : mixtures(nranks)) {
      if (kUnderThreadSanitizer && devices.front() != 'a') continue;
      for (const Bytes& output : results(devices, type)) ASSERT_EQ(output, hosts.front()) << devices << ", " << info_of(type).name;
      if (HasFailure()) return;
    }
  }
}

// All reductions of all types, the user's on the host included; inline and staged, and odd tails of vectors.
TEST_P(Mixtures, EveryReductionIsExact) {
  const std::string devices = std::string("bahbah").substr(0, static_cast<size_t>(GetParam()));
  Finding found;
  World& world = world_of({.nranks = GetParam(), .devices = devices}, found);
  ASSERT_TRUE(nothing_wrong(found));
  for (const TypeInfo& type : all_types()) {
    for (int op = 0; op < kOps; ++op) {
      for (const Kind kind : {Kind::kAllReduce, Kind::kReduce, Kind::kReduceScatter, Kind::kReduceScatterV}) {
        for (const size_t count : {size_t{5}, size_t{3013}}) {
          Call call = next_call(kind, count);
          call.type = type.type;
          call.op = static_cast<Op>(op);
          ASSERT_NO_FATAL_FAILURE(expect_right(world, call));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Mixtures, ::testing::Values(2, 3, 4, 5, 6), ::testing::PrintToStringParamName());

// One algorithm at a time, whatever it can do.
class MixturesForced : public ::testing::TestWithParam<std::string> {
 protected:
  void TearDown() override { forget_worlds(); }
};

TEST_P(MixturesForced, EveryCollectiveIsExact) {
  for (const std::string devices : {"hab", "bhaa"}) {
    const int nranks = static_cast<int>(devices.size());
    Finding found;
    World& world = world_of({.nranks = nranks, .algorithm = GetParam(), .devices = devices}, found);
    ASSERT_TRUE(nothing_wrong(found));
    uint64_t seed = 0;
    for (int number = 0; number < kKinds; ++number) {
      const auto kind = static_cast<Kind>(number);
      if (!can_do(GetParam(), kind, nranks)) continue;
      for (const size_t count : kCounts) {
        Call call{.kind = kind,
                  .type = all_types()[++seed % kTypes].type,
                  .op = static_cast<Op>(seed % kOps),
                  .root = static_cast<int>(seed % static_cast<uint64_t>(nranks)),
                  .count = count,
                  .seed = seed};
        if (is_uneven(kind)) call.counts = block_counts(kind, count, nranks);
        if (call.op == Op::kAffine && !can_do(GetParam(), kind, nranks, true)) call.op = Op::kXor;
        const auto oracle = std::make_shared<const Oracle>(call, nranks);
        found = world.run([&](int rank, const Member& member) {
          return RankCall(oracle, rank, random_layout(mixed(seed, static_cast<uint64_t>(rank)))).run(member);
        });
        ASSERT_TRUE(nothing_wrong(found)) << describe(call) << ", " << devices;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, MixturesForced, ::testing::ValuesIn(algorithm_names()), [](const auto& test) { return test.param; });

class Devices : public ::testing::Test {
 protected:
  void TearDown() override { forget_worlds(); }

  World& world(const std::string& devices) {
    Finding found;
    World& made = world_of({.nranks = static_cast<int>(devices.size()), .devices = devices}, found);
    EXPECT_TRUE(nothing_wrong(found));
    return made;
  }
};

std::shared_ptr<const Oracle> random_call(uint64_t seed, int nranks) {
  Random random(seed);
  Call call{.kind = static_cast<Kind>(random.below(kKinds)),
            .type = all_types()[random.below(size_t{kTypes})].type,
            .op = static_cast<Op>(random.below(kOps)),
            .root = random.below(nranks),
            .count = random.one_in(5) ? size_t{30'000} : random.below(size_t{60}),
            .seed = seed};
  if (is_uneven(call.kind)) call.counts = block_counts(call.kind, call.count, nranks);
  return std::make_shared<const Oracle>(call, nranks);
}

// Two communicators in one group, where a rank's device is not the same in both; and a thread that drives all ranks.
TEST_F(Devices, InGroups) {
  World &one = world("hab"), &other = world("bbha");
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::deque<RankCall> calls;
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    for (const World* each : {&one, &other, &one}) {
      const auto oracle = random_call(3 * seed + calls.size(), each->nranks());
      for (int rank = 0; rank < each->nranks(); ++rank) {
        RankCall& call = calls.emplace_back(oracle, rank, random_layout(mixed(seed, calls.size())));
        ASSERT_EQ(call.issue(each->member(rank), nullptr), tuttiSuccess) << tuttiGetLastError(nullptr);
      }
    }
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
    for (const RankCall& call : calls) ASSERT_TRUE(nothing_wrong(call.check())) << "seed " << seed;
  }
}

TEST_F(Devices, OnStreams) {
  World& all = world("abha");
  const Finding found = all.run([&](int rank, const Member& member) -> Finding {
    Random random(static_cast<uint64_t>(rank) + 5);
    tuttiStream_t streams[2] = {};
    for (tuttiStream_t& stream : streams) {
      if (tuttiStreamCreate(&stream) != tuttiSuccess) return "no stream";
    }
    std::deque<RankCall> calls;
    Finding problem;
    for (uint64_t k = 0; k < 60 && problem.empty(); ++k) {
      RankCall& call = calls.emplace_back(random_call(1000 + k, 4), rank, random_layout(random.next()));
      problem += expect_success(call.issue(member, streams[random.below(size_t{2})]), "call", member.comm);
    }
    for (const tuttiStream_t stream : streams) {
      problem += expect_success(tuttiStreamSynchronize(stream), "synchronize", member.comm);
      problem += expect_success(tuttiStreamDestroy(stream), "destroy");
    }
    for (const RankCall& call : calls) problem += call.check();
    return problem;
  });
  EXPECT_TRUE(nothing_wrong(found));
}

// Children have their parents' devices, with settings of their own or without.
TEST_F(Devices, AfterASplit) {
  World& all = world("bahab");
  for (const bool with_config : {false, true}) {
    const Finding found = all.run([&](int rank, const Member& parent) -> Finding {
      tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
      config.timeout = 100;
      Member child = {.device = parent.device};
      const tuttiResult_t split = tuttiCommSplit(parent.comm, rank % 2, -rank, &child.comm, with_config ? &config : nullptr);
      if (split != tuttiSuccess) return expect_success(split, "split", parent.comm);
      int place = 0, nranks = 0;
      Finding problem =
          expect_success(tuttiCommUserRank(child.comm, &place), "rank") + expect_success(tuttiCommCount(child.comm, &nranks), "n");
      problem += child.create_reductions(place);
      for (uint64_t k = 0; k < 20 && problem.empty(); ++k) {
        const auto seed = 2000 + 100 * static_cast<uint64_t>(rank % 2) + k;
        problem += RankCall(random_call(seed, nranks), place, random_layout(mixed(seed, static_cast<uint64_t>(rank)))).run(child);
      }
      return problem + expect_success(tuttiCommDestroy(child.comm), "destroy");
    });
    EXPECT_TRUE(nothing_wrong(found));
  }
}

// What the tests above rest on: work does pass through the accelerators, and they hold nothing in the end.
TEST_F(Devices, DoTheWork) {
  TestAccelerator &a = *accelerator_of('a'), &b = *accelerator_of('b');
  const size_t held_a = a.allocations(), held_b = b.allocations();
  const uint64_t done_a = a.done(), done_b = b.done();
  {
    const auto oracle = std::make_shared<const Oracle>(Call{.count = 100'000}, 3);
    EXPECT_TRUE(nothing_wrong(world("abh").run([&](int rank, const Member& member) { return RankCall(oracle, rank, {}).run(member); })));
  }
  EXPECT_GT(a.done(), done_a + 2);
  EXPECT_GT(b.done(), done_b + 2);
  forget_worlds();
  EXPECT_EQ(a.allocations(), held_a);
  EXPECT_EQ(b.allocations(), held_b);
}

}  // namespace
}  // namespace tutti::test
