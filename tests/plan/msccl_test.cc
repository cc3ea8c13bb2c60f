// MSCCL XML: what goes out comes back with the same effect; what is malformed is refused with its place.
#include "plan/msccl.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "plan/simulator.h"
#include "plan/verifier.h"
#include "tests/plan/small_plans.h"
#include "tests/support/graphs.h"

namespace tutti {
namespace {

TEST(Msccl, AlgorithmsGoOutAndComeBackVerified) {
  int through = 0;
  for (const Algorithm* const algorithm : algorithms()) {
    for (int i = 0; i + 1 < kCollectives; ++i) {
      for (const int nranks : {1, 2, 3, 5, 8}) {
        const PlanRequest request{.collective = static_cast<Collective>(i), .nranks = nranks, .root = 0};
        for (int channels = 1; channels <= std::min(2, algorithm->max_channels(request, host_topology(nranks))); ++channels) {
          const Plan plan = algorithm_plan(*algorithm, request, channels);
          Result<std::string> xml = plan_to_msccl(plan);
          if (!xml.ok()) {
            // A sentence that names the place, or the collective that MSCCL has not.
            EXPECT_NE(xml.status().message().find(request.collective == Collective::kBarrier ? "barrier" : "thread block"),
                      std::string::npos)
                << xml.status().message();
            continue;
          }
          Result<Plan> back = plan_from_msccl(*xml);
          ASSERT_TRUE(back.ok()) << algorithm->name << ", " << collective_name(request.collective) << ", " << nranks << ": "
                                 << back.status().message();
          EXPECT_TRUE(verify(*back).ok());
          EXPECT_EQ(back->ranks[0].collective, request.collective);
          EXPECT_EQ(back->ranks[0].algorithm, algorithm->name);
          ++through;
        }
      }
    }
  }
  EXPECT_GT(through, 80);
}

TEST(Msccl, ARingTakesAsLongAsBefore) {
  const Plan plan = algorithm_plan("ring", 8, 2);
  Result<Plan> back = plan_from_msccl(plan_to_msccl(plan).value());
  ASSERT_TRUE(back.ok()) << back.status().message();
  const Result<Network> network = Network::create(switch_graph(8, 50, 1));
  EXPECT_DOUBLE_EQ(simulate(plan, network.value(), 1 << 20).value().time_us, simulate(*back, network.value(), 1 << 20).value().time_us);
}

TEST(Msccl, ANameIsEscaped) {
  Plan plan = ring3();
  for (Program& program : plan.ranks) program.algorithm = "a<\"&b";
  Result<Plan> back = plan_from_msccl(plan_to_msccl(plan).value());
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->ranks[2].algorithm, "a<\"&b");
}

// Two ranks exchange halves; each reduces its own and sends the result back.
const char* const kGood = R"(<algo name="two" proto="Simple" nchannels="1" nchunksperloop="2" ngpus="2" coll="allreduce" inplace="0">
<gpu id="0" i_chunks="2" o_chunks="2" s_chunks="0"><tb id="0" send="1" recv="1" chan="0">
<step s="0" type="s" srcbuf="i" srcoff="1" dstbuf="o" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
<step s="1" type="rrcs" srcbuf="i" srcoff="0" dstbuf="o" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
<step s="2" type="r" srcbuf="o" srcoff="1" dstbuf="o" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/></tb></gpu>
<gpu id="1" i_chunks="2" o_chunks="2" s_chunks="0"><tb id="0" send="0" recv="0" chan="0">
<step s="0" type="s" srcbuf="i" srcoff="0" dstbuf="o" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/>
<step s="1" type="rrcs" srcbuf="i" srcoff="1" dstbuf="o" dstoff="1" cnt="1" depid="-1" deps="-1" hasdep="0"/>
<step s="2" type="r" srcbuf="o" srcoff="0" dstbuf="o" dstoff="0" cnt="1" depid="-1" deps="-1" hasdep="0"/></tb></gpu></algo>
)";

TEST(Msccl, ReadsWhatIsWritten) {
  Result<Plan> plan = plan_from_msccl(kGood);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_TRUE(plan->ranks[0].channels[0][1].completes) << "worked out: it adds the last input";
  EXPECT_FALSE(plan->ranks[0].channels[0][2].completes);
}

struct Change {
  std::string from, to;  // the first place
  std::vector<std::string> says;
};

TEST(Msccl, RefusesWhatIsMalformed) {
  const Change changes[] = {
      {"</algo>", "", {"line"}},
      {"<algo name", "<plan name", {"line"}},
      {"coll=\"allreduce\"", "coll=\"allsum\"", {"algo (line 1)", "allsum", "allreduce"}},
      {"ngpus=\"2\" ", "", {"algo (line 1)", "no attribute ngpus"}},
      {"ngpus=\"2\"", "ngpus=\"3\"", {"has 2 gpus", "3"}},
      {"ngpus=\"2\"", "ngpus=\"two\"", {"must be an integer"}},
      {"inplace=\"0\"", "inplace=\"1\"", {"inplace", "out of place"}},
      {"nchunksperloop=\"2\"", "nchunksperloop=\"0\"", {"nchunksperloop"}},
      {"gpu id=\"1\"", "gpu id=\"0\"", {"gpu 1 (line 6)", "id 0 of another"}},
      {"gpu id=\"1\"", "gpu id=\"7\"", {"gpu 1", "0 to 1"}},
      {"<gpu id=\"1\"", "<cpu/><gpu id=\"1\"", {"cpu", "only gpu"}},
      {"tb id=\"0\"", "tb id=\"1\"", {"gpu 0, tb 0 (line 2)", "count from 0"}},
      {"send=\"1\"", "send=\"9\"", {"send"}},
      {"send=\"1\"", "send=\"-1\"", {"gpu 0, tb 0, step 0 (line 3)", "sends (s)"}},
      {"recv=\"1\"", "recv=\"-1\"", {"gpu 0, tb 0, step 1 (line 4)", "receives (rrcs)"}},
      {"chan=\"0\"", "chan=\"99\"", {"chan"}},
      {"step s=\"1\"", "step s=\"4\"", {"must have s=\"1\""}},
      {"type=\"rrcs\"", "type=\"rrx\"", {"rrx", "rrcs"}},
      {"srcbuf=\"i\"", "srcbuf=\"q\"", {"srcbuf", "i, o or s"}},
      {"srcoff=\"1\"", "srcoff=\"-1\"", {"srcoff"}},
      {"cnt=\"1\"", "cnt=\"0\"", {"cnt"}},
      {"depid=\"-1\" deps=\"-1\"", "depid=\"3\" deps=\"0\"", {"waits for tb 3, step 0"}},
      // Well formed, but wrong: verify()'s sentences.
      {"srcoff=\"1\"", "srcoff=\"5\"", {"structure: ", "past the end"}},
      {"srcoff=\"1\"", "srcoff=\"0\"", {"structure: "}},
      {"depid=\"-1\" deps=\"-1\"", "depid=\"0\" deps=\"2\"", {"structure: ", "cycle"}},
      {"type=\"rrcs\" srcbuf=\"i\" srcoff=\"0\" dstbuf=\"o\"", "type=\"rcs\" srcbuf=\"i\" srcoff=\"0\" dstbuf=\"o\"", {"symbolic: "}},
  };
  for (const Change& change : changes) {
    std::string text = kGood;
    const size_t at = text.find(change.from);
    ASSERT_NE(at, std::string::npos) << change.from;
    text.replace(at, change.from.size(), change.to);
    Result<Plan> plan = plan_from_msccl(text);
    ASSERT_FALSE(plan.ok()) << change.from << " -> " << change.to;
    EXPECT_EQ(plan.status().code(), Code::kInvalidArgument);
    for (const std::string& part : change.says) {
      EXPECT_NE(plan.status().message().find(part), std::string::npos) << change.to << ": " << plan.status().message();
    }
  }
}

TEST(Msccl, SaysWhatDoesNotFit) {
  // Rank 1 passes on from rank 0 to rank 2, and by another instruction to rank 3.
  const Plan plan = written_plan({.collective = Collective::kBroadcast, .nranks = 4}, 1, [](ProgramBuilder& builder, int rank) {
    auto channel = builder.channel(0);
    if (rank == 0)
      channel.copy(input(0, 1, 1), output(0, 1, 1))
          .send(1, input(0, 1, 2))
          .send(1, input(1, 2, 2))
          .send(3, input(0, 1, 2))
          .send(2, input(1, 2, 2));
    if (rank == 1) channel.recv_copy_send(0, output(0, 1, 2), 2).recv_copy_send(0, output(1, 2, 2), 3);
    if (rank == 2) channel.recv(1, output(0, 1, 2)).recv(0, output(1, 2, 2));
    if (rank == 3) channel.recv(1, output(1, 2, 2)).recv(0, output(0, 1, 2));
  });
  ASSERT_TRUE(verify(plan).ok()) << verify(plan).message();
  Result<std::string> xml = plan_to_msccl(plan);
  ASSERT_FALSE(xml.ok());
  EXPECT_NE(xml.status().message().find("rank 1, channel 0, instruction 1"), std::string::npos) << xml.status().message();
  EXPECT_NE(xml.status().message().find("thread block"), std::string::npos) << xml.status().message();
}

}  // namespace
}  // namespace tutti
