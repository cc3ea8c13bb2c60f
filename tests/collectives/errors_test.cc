// What is wrong in one call is refused with its argument's name; what does not match between ranks ends, on every rank, within the
// timeout, and somebody is told who is to blame. Nothing hangs.
#include <chrono>
#include <ostream>

#include "nothing_wrong.h"

namespace tutti::test {
namespace {

constexpr double kTimeoutS = 1.5;

using Body = tuttiResult_t (*)(int rank, const Member& member, float* in, float* out);

struct Mismatch {
  const char* name;
  Body body;
};

// "rank 2 (host ..., pid ...)".
bool names_a_peer(const std::string& sentence) {
  const size_t host = sentence.find(" (host ");
  if (host == std::string::npos) return false;
  const size_t number = sentence.find_last_not_of("0123456789", host - 1);
  return number != std::string::npos && number + 1 < host && number >= 4 && sentence.compare(number - 4, 5, "rank ") == 0;
}

void PrintTo(const Mismatch& mismatch, std::ostream* out) {
  *out << mismatch.name;
}

// How a rank's call ended: the first refusal of the calls, else of a barrier behind them, which a rank that noticed nothing gets to.
struct Ending {
  tuttiResult_t result = tuttiSuccess;
  std::string sentence;
};

constexpr Mismatch kMismatches[] = {
    {"a count", [](int rank, const Member& m, float* in,
                   float* out) { return tuttiAllReduce(in, out, rank == 1 ? 7 : 8, tuttiFloat32, tuttiSum, m.comm, nullptr); }},
    {"a large count",
     [](int rank, const Member& m, float* in, float* out) {
       return tuttiAllReduce(in, out, rank == 1 ? 80'000 : 90'000, tuttiFloat32, tuttiSum, m.comm, nullptr);
     }},
    {"a type", [](int rank, const Member& m, float* in,
                  float* out) { return tuttiAllGather(in, out, 8, rank == 0 ? tuttiInt32 : tuttiFloat32, m.comm, nullptr); }},
    {"a reduction",
     [](int rank, const Member& m, float* in, float* out) {
       return tuttiReduceScatter(in, out, 8, tuttiFloat32, rank == 2 ? tuttiMax : tuttiSum, m.comm, nullptr);
     }},
    {"a root", [](int rank, const Member& m, float* in,
                  float* out) { return tuttiBroadcast(in, out, 8, tuttiFloat32, rank == 2 ? 1 : 0, m.comm, nullptr); }},
    {"a reduce's root", [](int rank, const Member& m, float* in,
                           float* out) { return tuttiReduce(in, out, 9000, tuttiFloat32, tuttiSum, rank == 2 ? 1 : 0, m.comm, nullptr); }},
    {"a collective",
     [](int rank, const Member& m, float* in, float* out) {
       return rank == 0 ? tuttiAllGather(in, out, 8, tuttiFloat32, m.comm, nullptr)
                        : tuttiAllToAll(in, out, 8, tuttiFloat32, m.comm, nullptr);
     }},
    {"a call that one rank leaves out",
     [](int rank, const Member& m, float* in, float* out) {
       return rank == 2 ? tuttiSuccess : tuttiAllReduce(in, out, 8, tuttiFloat32, tuttiSum, m.comm, nullptr);
     }},
    {"two calls in another order",
     [](int rank, const Member& m, float* in, float* out) {
       const auto sum = [&] { return tuttiAllReduce(in, out, 8, tuttiFloat32, tuttiSum, m.comm, nullptr); };
       const auto all = [&] { return tuttiAllGather(in, out, 8, tuttiFloat32, m.comm, nullptr); };
       const tuttiResult_t first = rank == 0 ? sum() : all();
       return first != tuttiSuccess ? first : rank == 0 ? all() : sum();
     }},
    {"alltoall_v's counts of one pair",
     [](int rank, const Member& m, float* in, float* out) {
       size_t sends[] = {5, 5, 5}, recvs[] = {5, 5, 5};
       if (rank == 0) sends[2] = 6;
       return tuttiAllToAllV(in, sends, nullptr, out, recvs, nullptr, tuttiFloat32, m.comm, nullptr);
     }},
    {"alltoall_v's count of one end, zero at the other",
     [](int rank, const Member& m, float* in, float* out) {
       size_t sends[] = {5, 5, 5}, recvs[] = {5, 5, 5};
       if (rank == 0) sends[2] = 0;
       return tuttiAllToAllV(in, sends, nullptr, out, recvs, nullptr, tuttiFloat32, m.comm, nullptr);
     }},
    {"all_gather_v's counts",
     [](int rank, const Member& m, float* in, float* out) {
       size_t counts[] = {5, 6, 7};
       if (rank == 1) counts[2] = 8;
       return tuttiAllGatherV(in, counts[rank], out, counts, nullptr, tuttiFloat32, m.comm, nullptr);
     }},
    {"gather_v's count at the root",
     [](int rank, const Member& m, float* in, float* out) {
       const size_t counts[] = {5, 6, 7};
       return tuttiGatherV(in, rank == 1 ? 5 : counts[rank], out, counts, nullptr, tuttiFloat32, 0, m.comm, nullptr);
     }},
    {"scatter_v's count at a receiver",
     [](int rank, const Member& m, float* in, float* out) {
       const size_t counts[] = {5, 6, 7};
       return tuttiScatterV(in, counts, nullptr, out, rank == 2 ? 9 : counts[rank], tuttiFloat32, 0, m.comm, nullptr);
     }},
    {"a message's count",
     [](int rank, const Member& m, float* in, float* out) {
       return rank == 0   ? tuttiSend(in, 8, tuttiFloat32, 1, m.comm, nullptr)
              : rank == 1 ? tuttiRecv(out, 9, tuttiFloat32, 0, m.comm, nullptr)
                          : tuttiSuccess;
     }},
    {"a message's type",
     [](int rank, const Member& m, float* in, float* out) {
       return rank == 0   ? tuttiSend(in, 8, tuttiFloat32, 1, m.comm, nullptr)
              : rank == 1 ? tuttiRecv(out, 8, tuttiInt32, 0, m.comm, nullptr)
                          : tuttiSuccess;
     }},
    {"a message that nobody sends",
     [](int rank, const Member& m, float*, float* out) {
       return rank == 1 ? tuttiRecv(out, 8, tuttiFloat32, 0, m.comm, nullptr) : tuttiSuccess;
     }},
};

class Errors : public ::testing::TestWithParam<Mismatch> {};

TEST_P(Errors, AreToldAndDoNotHang) {
  constexpr int kRanks = 3;
  Finding found;
  World world({.nranks = kRanks, .algorithm = {}, .timeout_s = kTimeoutS}, found);
  ASSERT_TRUE(nothing_wrong(found));
  std::vector<Ending> endings(kRanks);
  const auto start = std::chrono::steady_clock::now();
  static_cast<void>(world.run([&](int rank, const Member& member) -> Finding {
    std::vector<float> in(300'000, 1), out(300'000);
    Ending& ending = endings[static_cast<size_t>(rank)];
    ending.result = GetParam().body(rank, member, in.data(), out.data());
    if (ending.result == tuttiSuccess) ending.result = tuttiBarrier(member.comm, nullptr);
    if (ending.result != tuttiSuccess) ending.sentence = tuttiGetLastError(member.comm);
    return {};
  }));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 20);  // one timeout and a peer's, on a machine that is busy with other things
  int told = 0;
  for (const Ending& ending : endings) {
    if (ending.result == tuttiSuccess) continue;
    ++told;
    EXPECT_TRUE(ending.result == tuttiInvalidUsage || ending.result == tuttiRemoteError || ending.result == tuttiTimeout)
        << tuttiGetErrorString(ending.result) << ": " << ending.sentence;
    EXPECT_TRUE(names_a_peer(ending.sentence)) << "names no peer: " << ending.sentence;
  }
  EXPECT_GT(told, 0) << "nobody noticed";
}

std::string test_name(const ::testing::TestParamInfo<Mismatch>& test) {
  std::string name = test.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Mismatch, Errors, ::testing::ValuesIn(kMismatches), test_name);

// Wrong by itself: refused at once, and the communicator is as good as before.
class Arguments : public ::testing::Test {
 protected:
  void SetUp() override {
    Finding found;
    World& world = world_of({.nranks = 1}, found);
    ASSERT_TRUE(nothing_wrong(found));
    member_ = &world.member(0);
    comm_ = member_->comm;
  }

  void refuses(tuttiResult_t result, const std::string& word) const {
    EXPECT_EQ(result, tuttiInvalidArgument);
    const std::string sentence = tuttiGetLastError(comm_);
    EXPECT_NE(sentence.find(word), std::string::npos) << sentence;
    float one = 1, sum = 0;
    EXPECT_EQ(tuttiAllReduce(&one, &sum, 1, tuttiFloat32, tuttiSum, comm_, nullptr), tuttiSuccess);
    EXPECT_EQ(sum, 1);
  }

  const Member* member_ = nullptr;
  tuttiComm_t comm_ = nullptr;
  alignas(64) float in_[64] = {};
  alignas(64) float out_[64] = {};
};

TEST_F(Arguments, Buffers) {
  refuses(tuttiAllReduce(nullptr, out_, 4, tuttiFloat32, tuttiSum, comm_, nullptr), "sendbuff");
  refuses(tuttiAllReduce(in_, nullptr, 4, tuttiFloat32, tuttiSum, comm_, nullptr), "recvbuff");
  refuses(tuttiAllReduce(in_, in_ + 1, 4, tuttiFloat32, tuttiSum, comm_, nullptr), "overlap");
  refuses(tuttiAllReduce(in_, in_ + 3, 4, tuttiFloat32, tuttiSum, comm_, nullptr), "recvbuff");
  refuses(tuttiAllToAll(in_, in_, 4, tuttiFloat32, comm_, nullptr), "in-place");
  refuses(tuttiBroadcast(reinterpret_cast<char*>(in_) + 2, out_, 4, tuttiFloat32, 0, comm_, nullptr), "aligned");
  refuses(tuttiAllGather(in_, out_, SIZE_MAX / 2, tuttiFloat32, comm_, nullptr), "sendbuff");
  refuses(tuttiRecv(nullptr, 4, tuttiFloat32, 0, comm_, nullptr), "recvbuff");
}

TEST_F(Arguments, NumbersAndHandles) {
  refuses(tuttiBroadcast(in_, out_, 4, tuttiFloat32, 1, comm_, nullptr), "root");
  refuses(tuttiReduce(in_, out_, 4, tuttiFloat32, tuttiSum, -1, comm_, nullptr), "root");
  refuses(tuttiSend(in_, 4, tuttiFloat32, 1, comm_, nullptr), "peer");
  refuses(tuttiAllReduce(in_, out_, 4, static_cast<tuttiDataType_t>(14), tuttiSum, comm_, nullptr), "datatype");
  refuses(tuttiAllReduce(in_, out_, 4, tuttiFloat32, static_cast<tuttiRedOp_t>(4000), comm_, nullptr), "op");
  refuses(tuttiAllReduce(in_, out_, 4, tuttiInt32, member_->premul[tuttiFloat32], comm_, nullptr), "op");
  refuses(tuttiAllReduce(in_, out_, 4, tuttiFloat32, tuttiSum, comm_, in_), "stream");
  EXPECT_EQ(tuttiBarrier(nullptr, nullptr), tuttiInvalidArgument);
}

TEST_F(Arguments, CountsOfBlocks) {
  const size_t counts[] = {4}, more[] = {5}, far[] = {SIZE_MAX / 8};
  refuses(tuttiAllGatherV(in_, 3, out_, counts, nullptr, tuttiFloat32, comm_, nullptr), "sendcount");
  refuses(tuttiAllGatherV(in_, 4, out_, nullptr, nullptr, tuttiFloat32, comm_, nullptr), "recvcounts");
  refuses(tuttiAllGatherV(in_, 4, out_, counts, far, tuttiFloat64, comm_, nullptr), "recvcounts");
  refuses(tuttiGatherV(in_, 3, out_, counts, nullptr, tuttiFloat32, 0, comm_, nullptr), "count");
  refuses(tuttiScatterV(in_, nullptr, nullptr, out_, 4, tuttiFloat32, 0, comm_, nullptr), "sendcounts");
  refuses(tuttiScatterV(in_, counts, nullptr, out_, 3, tuttiFloat32, 0, comm_, nullptr), "count");
  refuses(tuttiAllToAllV(in_, counts, nullptr, out_, more, nullptr, tuttiFloat32, comm_, nullptr), "sendcounts");
  refuses(tuttiReduceScatterV(in_, nullptr, nullptr, out_, tuttiFloat32, tuttiSum, comm_, nullptr), "recvcounts");
}

TEST_F(Arguments, DestroyedReductions) {
  tuttiRedOp_t op = tuttiSum;
  const float scalar = 2;
  ASSERT_EQ(tuttiRedOpCreatePreMulSum(&op, &scalar, tuttiFloat32, comm_), tuttiSuccess);
  ASSERT_EQ(tuttiRedOpDestroy(op, comm_), tuttiSuccess);
  refuses(tuttiAllReduce(in_, out_, 4, tuttiFloat32, op, comm_, nullptr), "op");
  EXPECT_EQ(tuttiRedOpDestroy(op, comm_), tuttiInvalidArgument);
  EXPECT_EQ(tuttiRedOpDestroy(tuttiSum, comm_), tuttiInvalidArgument);
}

// A message to oneself needs its receive in the same group.
TEST_F(Arguments, MessagesToOneself) {
  Finding found;
  World world({.nranks = 1, .algorithm = {}, .timeout_s = kTimeoutS}, found);
  ASSERT_TRUE(nothing_wrong(found));
  const tuttiResult_t result = tuttiSend(in_, 4, tuttiFloat32, 0, world.comm(0), nullptr);
  EXPECT_EQ(result, tuttiInvalidUsage);
  EXPECT_NE(std::string(tuttiGetLastError(world.comm(0))).find("own rank"), std::string::npos);
}

}  // namespace
}  // namespace tutti::test
