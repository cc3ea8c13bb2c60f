// Plans survive JSON exactly, and what is no plan is refused with its place. Mutated text never crashes the reader.
#include "plan/serialise.h"

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "plan/verifier.h"
#include "tests/plan/small_plans.h"

namespace tutti {
namespace {

// Every kind of instruction and operand.
Plan varied_plan() {
  Plan plan = written_plan(2, 2, [](ProgramBuilder& builder, int rank) {
    const int peer = 1 - rank;
    builder.use_scratch(3);
    builder.largest_message(1, 2);
    builder.channel(0)
        .send(peer, input(0, 1, 2))
        .recv(peer, scratch(0, 1, 2))
        .recv_copy_send(peer, scratch(5, 6, 2), peer)
        .recv_reduce_send(peer, input(1, 2, 2), peer)
        .src_first()
        .recv_reduce_copy(peer, input(0, 1, 2), output(0, 1, 2))
        .completes()
        .recv_reduce_copy_send(peer, output(0, 1, 2), output(0, 1, 2), peer);
    builder.channel(1).copy(input(0, 1, 1), output(0, 4294967295u, 4294967295u)).reduce(scratch(0, 1, 1), output(0, 1, 1));
  });
  plan.ranks[1].channels[1].push_back({.after_channel = 0, .after_index = 3});                                  // nop
  plan.ranks[1].channels[1].push_back({.send_peer = 0, .src = input(0, 1, 1), .dst = output(0, 1, 1)});         // copy_send
  plan.ranks[1].channels[1].push_back({.recv_peer = 0, .send_peer = 0, .after_channel = 1, .after_index = 0});  // recv_send
  plan.ranks[1].fifo_of_channel = {1, 0};
  for (Program& program : plan.ranks) program.algorithm = "an \"odd\"\\name\n\xc3\xa4";
  return plan;
}

void expect_round_trip(const Plan& plan) {
  const std::string text = plan_to_json(plan);
  const Result<Plan> read = plan_from_json(text);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read.value(), plan);
  EXPECT_EQ(plan_to_json(read.value()), text);
}

TEST(Serialise, RoundTripIsExact) {
  expect_round_trip(varied_plan());
  for (const Algorithm* algorithm : algorithms()) {
    for (int i = 0; i < kCollectives; ++i) {
      for (const int nranks : {1, 2, 3, 8, 13}) {
        const PlanRequest request{.collective = static_cast<Collective>(i), .nranks = nranks};
        const int most = algorithm->max_channels(request, host_topology(request.nranks));
        if (most >= 1) expect_round_trip(algorithm_plan(*algorithm, request, 1));
        if (most >= 2) expect_round_trip(algorithm_plan(*algorithm, request, most));
      }
    }
  }
}

TEST(Serialise, KnowsEveryCollective) {
  for (int i = 0; i < kCollectives; ++i) {
    Plan plan = crossing_sends();
    for (Program& program : plan.ranks) program.collective = static_cast<Collective>(i), program.root = 1;
    expect_round_trip(plan);
  }
}

TEST(Serialise, ReadsWell) {
  EXPECT_EQ(plan_to_json(algorithm_plan("one_shot", 1)),
            R"({
  "collective": "all_reduce",
  "algorithm": "one_shot",
  "nranks": 1,
  "root": 0,
  "largest_message": {"num": 1, "den": 1},
  "ranks": [
    {"rank": 0, "scratch_blocks": 0, "channels": [
      [
        {"op": "copy", "src": {"buffer": "input", "begin": 0, "end": 1, "den": 1}, "dst": {"buffer": "output", "begin": 0, "end": 1, "den": 1}, "completes": true}
      ]
    ]}
  ]
}
)");
}

// A plan of two ranks in which `whole` stands where rank 1's first instruction goes.
std::string document_with(const std::string& instruction) {
  return R"({"collective": "all_reduce", "algorithm": "a", "nranks": 2, "root": 0, "largest_message": {"num": 1, "den": 1},
    "ranks": [{"rank": 0, "scratch_blocks": 0, "channels": []},
              {"rank": 1, "scratch_blocks": 0, "channels": [[)" +
         instruction + "]]}]}";
}

const std::string kGoodDocument = document_with(R"({"op": "send", "to": 0, "src": {"buffer": "input", "begin": 0, "end": 1, "den": 2}})");

TEST(Serialise, ReadsWhatPeopleWrite) {
  ASSERT_TRUE(plan_from_json(kGoodDocument).ok()) << plan_from_json(kGoodDocument).status().message();
  const std::string noted = document_with(
      R"({"x-note": ["any", {"thing": 1}], "src": {"den": 2, "x-": null, "end": 1, "begin": 0, "buffer": "input"}, "to": 0, "op": "send"})");
  ASSERT_TRUE(plan_from_json(noted).ok()) << plan_from_json(noted).status().message();
  EXPECT_EQ(plan_from_json(noted).value(), plan_from_json(kGoodDocument).value());
}

struct Malformed {
  const char* name;
  std::string text;
  std::string says;
};

std::ostream& operator<<(std::ostream& out, const Malformed& malformed) {
  return out << malformed.name;
}

// The good document with `from` replaced.
std::string good_with(const std::string& from, const std::string& to) {
  std::string text = kGoodDocument;
  const size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return text.replace(place, from.size(), to);
}

std::vector<Malformed> malformed_documents() {
  return {
      {"Empty", "", "not JSON: parse error at line 1, column 1"},
      {"Garbage", "\xff\xfe\x01", "not JSON: parse error"},
      {"Truncated", kGoodDocument.substr(0, kGoodDocument.size() / 2), "not JSON: parse error at line"},
      {"TrailingText", kGoodDocument + "x", "not JSON: parse error at line"},
      {"DeepNesting", std::string(100000, '['), "not JSON: parse error"},
      {"DeepNestingClosed", std::string(100000, '[') + std::string(100000, ']'), "the document must be an object, is an array"},
      {"NotAnObject", "[1]", "the document must be an object, is an array"},
      {"UnknownKey", good_with("\"root\"", "\"rood\""), "the document has the unknown key \"rood\""},
      {"LongUnknownKey", good_with("\"root\"", "\"" + std::string(10000, 'k') + "\""), "unknown key a long string"},
      {"MissingKey", good_with("\"root\": 0,", ""), "root is missing"},
      {"UnknownCollective", good_with("all_reduce", "all_reduced"), "collective is \"all_reduced\", which is no collective"},
      {"CollectiveNotAString", good_with("\"all_reduce\"", "3"), "collective must be a string, is 3"},
      {"AlgorithmNotAString", good_with("\"a\"", "{}"), "algorithm must be a string, is an object"},
      {"NranksZero", good_with("\"nranks\": 2", "\"nranks\": 0"), "nranks must be an integer from 1 to 1048576, is 0"},
      {"NranksAbsurd", good_with("\"nranks\": 2", "\"nranks\": 1e300"), "nranks must be an integer from 1 to 1048576, is 1e+300"},
      {"NranksOverflows", good_with("\"nranks\": 2", "\"nranks\": 18446744073709551615"), "nranks must be an integer from 1"},
      {"NranksMoreThanRanks", good_with("\"nranks\": 2", "\"nranks\": 1000000"),
       "ranks must have one element for each of the 1000000 ranks"},
      {"RootOutOfRange", good_with("\"root\": 0", "\"root\": 2"), "root must be an integer from 0 to 1, is 2"},
      {"LargestMessageNotAnObject", good_with("{\"num\": 1, \"den\": 1}", "1"), "largest_message must be an object, is 1"},
      {"LargestMessageOverZero", good_with("\"den\": 1}", "\"den\": 0}"), "largest_message.den must be an integer from 1"},
      {"RanksNotAnArray", good_with("\"ranks\": [", "\"ranks\": 5, \"x-ranks\": ["), "ranks must be an array, is 5"},
      {"RankNotAnObject", good_with("{\"rank\": 0,", "7, {\"x-rank\": 0,"), "ranks must have one element"},
      {"RankOutOfOrder", good_with("\"rank\": 0", "\"rank\": 1"), "ranks[0].rank is 1; the ranks must be in order"},
      {"RankNegative", good_with("\"rank\": 0", "\"rank\": -1"), "ranks[0].rank must be an integer from 0 to 1, is -1"},
      {"ScratchAbsurd", good_with("\"scratch_blocks\": 0", "\"scratch_blocks\": 4294967296"),
       "ranks[0].scratch_blocks must be an integer from 0 to 4294967295, is 4294967296"},
      {"ChannelsNotAnArray", good_with("\"channels\": []", "\"channels\": {}"), "ranks[0].channels must be an array, is an object"},
      {"ChannelNotAnArray", good_with("\"channels\": []", "\"channels\": [[], true]"),
       "ranks[0].channels[1] must be an array of instructions"},
      {"InstructionNotAnObject", document_with("null"), "ranks[1].channels[0][0] must be an object, is null"},
      {"InstructionUnknownKey", good_with("\"to\"", "\"too\""), "ranks[1].channels[0][0] has the unknown key \"too\""},
      {"OpMissing", document_with("{}"), "ranks[1].channels[0][0].op is missing"},
      {"OpUnknown", good_with("\"send\"", "\"sent\""),
       "ranks[1].channels[0][0].op is \"sent\", but the keys beside it (from, to, src, dst) make a send"},
      {"OpOfOtherFields", good_with("\"to\"", "\"from\""), "ranks[1].channels[0][0].op is \"send\", but the keys"},
      {"OpReduceOfOtherFields", good_with("\"send\"", "\"recv_reduce_send\""), "make no instruction with that name"},
      {"OpMalformed", document_with(R"({"op": "malformed", "from": 0})"), "op is \"malformed\""},
      {"PeerOutOfRange", good_with("\"to\": 0", "\"to\": 2"), "ranks[1].channels[0][0].to must be an integer from 0 to 1, is 2"},
      {"PeerMinusOne", good_with("\"to\": 0", "\"to\": -1"), "ranks[1].channels[0][0].to must be an integer from 0 to 1, is -1"},
      {"PeerFraction", good_with("\"to\": 0", "\"to\": 0.0"), "ranks[1].channels[0][0].to must be an integer from 0 to 1, is 0.0"},
      {"PeerString", good_with("\"to\": 0", "\"to\": \"0\""), "ranks[1].channels[0][0].to must be an integer from 0 to 1, is \"0\""},
      {"RegionNotAnObject", document_with(R"({"op": "send", "to": 0, "src": []})"), "[0][0].src must be an object, is an array"},
      {"RegionUnknownKey", good_with("\"end\": 1", "\"end\": 1, \"End\": 1"), "[0][0].src has the unknown key \"End\""},
      {"RegionKeyMissing", good_with("\"end\": 1,", ""), "[0][0].src.end is missing"},
      {"RegionBufferUnknown", good_with("\"input\"", "\"none\""), "[0][0].src.buffer is \"none\"; must be"},
      {"RegionDenominatorZero", good_with("\"den\": 2", "\"den\": 0"), "[0][0].src.den must be an integer from 1 to 4294967295, is 0"},
      {"RegionBeginNegative", good_with("\"begin\": 0", "\"begin\": -9223372036854775808"), "[0][0].src.begin must be an integer"},
      {"SrcFirstNotABoolean", good_with("\"to\"", "\"src_first\": 1, \"to\""), "[0][0].src_first must be true or false, is 1"},
      {"CompletesNotABoolean", good_with("\"to\"", "\"completes\": \"yes\", \"to\""),
       "ranks[1].channels[0][0].completes must be true or false, is \"yes\""},
      {"FifosNotAnArray", good_with("\"channels\": []", "\"fifo_of_channel\": 1, \"channels\": []"),
       "ranks[0].fifo_of_channel must be an array, is 1"},
      {"FifoNegative", good_with("\"channels\": []", "\"fifo_of_channel\": [0, -1], \"channels\": []"),
       "ranks[0].fifo_of_channel[1] must be an integer from 0 to 2147483647, is -1"},
      {"AfterNotAPair", document_with(R"({"op": "nop", "after": [0]})"), "[0][0].after must be [channel, index], is an array"},
      {"AfterNotNumbers", document_with(R"({"op": "nop", "after": [0, null]})"), "[0][0].after[1] must be an integer from 0 to 2147483647"},
      {"AfterNegative", document_with(R"({"op": "nop", "after": [-1, 0]})"),
       "[0][0].after[0] must be an integer from 0 to 2147483647, is -1"},
  };
}

class SerialiseRefuses : public testing::TestWithParam<Malformed> {};

TEST_P(SerialiseRefuses, AndSaysWhere) {
  const Result<Plan> read = plan_from_json(GetParam().text);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
  const std::string message = read.status().message();
  EXPECT_EQ(message.rfind("plan JSON: ", 0), 0u) << message;
  EXPECT_NE(message.find(GetParam().says), std::string::npos) << message;
  EXPECT_LT(message.size(), 400u);
}

INSTANTIATE_TEST_SUITE_P(Table, SerialiseRefuses, testing::ValuesIn(malformed_documents()),
                         [](const testing::TestParamInfo<Malformed>& test) { return std::string(test.param.name); });

// Changes one to three places: a digit to another, a byte to any or to one that JSON is made of, or a stretch cut out or doubled.
std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  const std::string json_bytes = "{}[]\",:-0123456789eE.tfn \\";
  for (size_t changes = 1 + below(3); changes > 0; --changes) {
    const size_t place = below(text.size());
    const size_t digit = text.find_first_of("0123456789", place);
    switch (below(8)) {
      case 0: text[place] = static_cast<char>(below(256)); break;
      case 1: text[place] = json_bytes[below(json_bytes.size())]; break;
      case 2: text.erase(place, 1 + below(20)); break;
      case 3: text.insert(place, text.substr(place, 1 + below(20))); break;
      default:
        if (digit != std::string::npos) text[digit] = static_cast<char>('0' + below(10));
    }
    if (text.empty()) return text;
  }
  return text;
}

TEST(Serialise, SurvivesMutation) {
  const std::vector<std::string> seeds = {plan_to_json(varied_plan()), plan_to_json(algorithm_plan("ring", 3, 2)), kGoodDocument};
  std::mt19937 random(20240229);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::string text = mutated(seeds[static_cast<size_t>(i) % seeds.size()], random);
    const Result<Plan> read = plan_from_json(text);
    if (!read.ok()) {
      ++refused;
      ASSERT_EQ(read.status().code(), Code::kInvalidArgument) << text;
      continue;
    }
    ++accepted;
    // Whatever the reader takes, the verifier can judge and the writer can write.
    const Status verdict = verify(read.value());
    ASSERT_TRUE(verdict.ok() || verdict.code() == Code::kInvalidArgument) << text;
    const Result<Plan> again = plan_from_json(plan_to_json(read.value()));
    ASSERT_TRUE(again.ok()) << text << again.status().message();
    ASSERT_EQ(again.value(), read.value()) << text;
  }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tutti
