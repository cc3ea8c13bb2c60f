// Sends and receives: in groups, in any order, to everybody and to oneself; and outside groups.
#include <gtest/gtest.h>

#include "mail.h"
#include "nothing_wrong.h"
#include "random.h"

namespace tutti::test {
namespace {

constexpr size_t kCounts[] = {0, 1, 17, 1000, 300'001};  // the last: more than all slots of a FIFO hold

class PointToPoint : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    Finding found;
    world_ = &world_of({.nranks = GetParam()}, found);
    ASSERT_TRUE(nothing_wrong(found));
  }

  // From everybody to everybody, oneself too, `each` messages.
  std::vector<Message> all_pairs(int each, uint64_t seed) const {
    Random random(seed);
    std::vector<Message> messages;
    for (int k = 0; k < each; ++k) {
      for (int from = 0; from < GetParam(); ++from) {
        for (int to = 0; to < GetParam(); ++to) {
          // Large ones now and then.
          const size_t count = random.one_in(20) ? kCounts[4] : kCounts[random.below(size_t{4})];
          messages.push_back(
              {.from = from, .to = to, .type = all_types()[random.below(size_t{kTypes})].type, .count = count, .seed = random.next()});
        }
      }
    }
    return messages;
  }

  World* world_ = nullptr;
};

TEST_P(PointToPoint, GroupsInAnyOrder) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const std::vector<Message> messages = all_pairs(3, seed);
    const Finding found = world_->run([&](int rank, const Member& member) -> Finding {
      RankMail mail(messages, rank, mixed(seed, static_cast<uint64_t>(rank)) | 1);
      static_cast<void>(tuttiGroupStart());
      Finding issued = mail.issue_all(member, {nullptr});
      const tuttiResult_t ended = tuttiGroupEnd();
      if (!issued.empty() || ended != tuttiSuccess) return issued + expect_success(ended, "group end", member.comm);
      return mail.check();
    });
    ASSERT_TRUE(nothing_wrong(found)) << "seed " << seed;
  }
}

// Everybody sends large messages before anybody receives.
TEST_P(PointToPoint, GroupsThatSendFirst) {
  std::vector<Message> messages;
  for (int from = 0; from < GetParam(); ++from) {
    for (int to = 0; to < GetParam(); ++to) messages.push_back({.from = from, .to = to, .count = kCounts[4], .seed = mixed(from, to)});
  }
  const Finding found = world_->run([&](int rank, const Member& member) -> Finding {
    RankMail sends(messages, rank, 0);
    static_cast<void>(tuttiGroupStart());
    Finding issued = sends.issue_all(member, {nullptr});
    issued += expect_success(tuttiGroupEnd(), "group end", member.comm);
    return issued.empty() ? sends.check() : issued;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

TEST_P(PointToPoint, GroupsOnStreams) {
  const std::vector<Message> messages = all_pairs(2, 77);
  const Finding found = world_->run([&](int rank, const Member& member) -> Finding {
    tuttiStream_t stream = nullptr;
    if (tuttiStreamCreate(&stream) != tuttiSuccess) return "no stream";
    RankMail first(messages, rank, mixed(1, static_cast<uint64_t>(rank)) | 1), second(messages, rank, 0);
    Finding issued;
    for (RankMail* mail : {&first, &second}) {
      static_cast<void>(tuttiGroupStart());
      issued += mail->issue_all(member, {stream});
      issued += expect_success(tuttiGroupEnd(), "group end", member.comm);
    }
    issued += expect_success(tuttiStreamSynchronize(stream), "synchronize", member.comm);
    static_cast<void>(tuttiStreamDestroy(stream));
    return issued.empty() ? first.check() + second.check() : issued;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

// Sends on one stream and receives on another, on either of which ranks may name NULL: a group is one piece of work of them all.
TEST_P(PointToPoint, AGroupSpreadOverStreams) {
  const std::vector<Message> messages = all_pairs(2, 78);
  const Finding found = world_->run([&](int rank, const Member& member) -> Finding {
    tuttiStream_t one = nullptr, other = nullptr;
    if (tuttiStreamCreate(&one) != tuttiSuccess || tuttiStreamCreate(&other) != tuttiSuccess) return "no stream";
    const std::vector<std::vector<tuttiStream_t>> spreads = {{one, other}, {other, one}, {one, nullptr}, {nullptr, other}};
    std::vector<RankMail> mails;
    Finding problem;
    for (size_t round = 0; round < 2 * spreads.size(); ++round) {
      mails.emplace_back(messages, rank, mixed(round, static_cast<uint64_t>(rank)) | 1);
      static_cast<void>(tuttiGroupStart());
      problem += mails.back().issue_all(member, spreads[(round + static_cast<size_t>(rank)) % spreads.size()]);
      problem += expect_success(tuttiGroupEnd(), "group end", member.comm);
    }
    for (const tuttiStream_t stream : {one, other}) {
      problem += expect_success(tuttiStreamSynchronize(stream), "synchronize", member.comm);
      static_cast<void>(tuttiStreamDestroy(stream));
    }
    for (const RankMail& mail : mails) problem += mail.check();
    return problem;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

TEST_P(PointToPoint, PingPongOutsideGroups) {
  if (GetParam() == 1) return;  // nobody to play with
  for (const size_t count : kCounts) {
    std::vector<Message> messages;
    for (uint64_t round = 0; round < 20; ++round) {
      messages.push_back({.from = 0, .to = GetParam() - 1, .type = tuttiInt16, .count = count, .seed = round});
      messages.push_back({.from = GetParam() - 1, .to = 0, .type = tuttiInt16, .count = count, .seed = round + 100});
    }
    const Finding found = world_->run([&](int rank, const Member& member) -> Finding {
      RankMail mail(messages, rank, 0);
      Finding issued = mail.issue_all(member, {nullptr});
      return issued.empty() ? mail.check() : issued;
    });
    ASSERT_TRUE(nothing_wrong(found)) << count;
  }
}

// A group of one call, and a group with nothing in it for some ranks.
TEST_P(PointToPoint, GroupsThatConcernSomeRanks) {
  const int last = GetParam() - 1;
  const std::vector<Message> messages = {{.from = 0, .to = last, .count = 300'001, .seed = 1}, {.from = last, .to = last, .count = 5}};
  const Finding found = world_->run([&](int rank, const Member& member) -> Finding {
    RankMail mail(messages, rank, mixed(9, static_cast<uint64_t>(rank)) | 1);
    static_cast<void>(tuttiGroupStart());
    Finding issued = mail.issue_all(member, {nullptr});
    issued += expect_success(tuttiGroupEnd(), "group end", member.comm);
    return issued.empty() ? mail.check() : issued;
  });
  ASSERT_TRUE(nothing_wrong(found));
}

INSTANTIATE_TEST_SUITE_P(Ranks, PointToPoint, ::testing::Values(1, 2, 3, 5, 8), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tutti::test
