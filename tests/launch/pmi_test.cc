// PMI-1 and PMI-2 against a small manager: what goes well, and every answer spoilt in every way: an error with a sentence, in bounded time.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <ostream>

#include "launch/find_job.h"
#include "launch/unique_id_text.h"
#include "pmi_server.h"

namespace tutti {
namespace {

struct Protocol {
  const char* name;
  const Launcher* launcher;
  int answers[2];  // of rank 0 and of rank 1, the farewell's left out
};

void PrintTo(const Protocol& protocol, std::ostream* out) {
  *out << protocol.name;
}

constexpr Protocol kProtocols[] = {{"pmi1", &pmi1_launcher, {5, 5}}, {"pmi2", &pmi2_launcher, {4, 4}}};

class Pmi : public ::testing::TestWithParam<Protocol> {
 protected:
  static Config config(double timeout_s) {
    Config result;
    result.init_timeout_s = timeout_s;
    return result;
  }

  // All ranks at once, as threads; each hangs up when it is done.
  static std::vector<Result<JobPlace>> join_all(PmiServer& server, int ranks, double timeout_s) {
    std::vector<Result<JobPlace>> places(static_cast<size_t>(ranks), Status(Code::kInternal, "did not run"));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        places[static_cast<size_t>(rank)] = GetParam().launcher->join(server.environment(rank), config(timeout_s));
        server.end(rank);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return places;
  }
};

TEST_P(Pmi, EverybodyGetsRankZerosId) {
  for (const int ranks : {1, 2, 5}) {
    PmiServer server(ranks);
    const std::vector<Result<JobPlace>> places = join_all(server, ranks, 60);
    for (int rank = 0; rank < ranks; ++rank) {
      const Result<JobPlace>& place = places[static_cast<size_t>(rank)];
      ASSERT_TRUE(place.ok()) << place.status().message();
      EXPECT_EQ(place.value().rank, rank);
      EXPECT_EQ(place.value().nranks, ranks);
      EXPECT_EQ(id_to_hex(place.value().id), id_to_hex(places[0].value().id));
      EXPECT_NE(place.value().id.port, 0);
    }
    EXPECT_EQ(server.finalized(), ranks) << "everybody takes leave";
  }
}

TEST_P(Pmi, EverySpoiltAnswerIsAnErrorInBoundedTime) {
  const std::string spoilt[] = {"\n",
                                "cmd=\n",
                                "cmd=response_to_init pmi_version=9 pmi_subversion=0 rc=0\n",
                                "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=-1\n",
                                "cmd=maxes vallen_max=0\n",
                                "cmd=maxes vallen_max=99999999999999999999\n",
                                "cmd=my_kvsname\n",
                                "cmd=get_result rc=0 value=zz\n",
                                "cmd=get_result rc=0 value=" + std::string(256, '0') + "\n",
                                "cmd=put_result rc=7\n",
                                "999999cmd=kvs-fence-response;rc=0;",
                                "     0",
                                "    -5cmd",
                                "    24cmd=kvs-put-response;rc=1;",
                                "    39cmd=kvs-get-response;flag=FALSE;value=;;rc=0",
                                std::string(200'000, 'x'),
                                std::string(300, '\0') + "\n"};
  for (int rank = 0; rank < 2; ++rank) {
    for (int answer = 0; answer < GetParam().answers[rank]; ++answer) {
      for (const std::string& instead : spoilt) {
        PmiServer server(2, 1024, PmiFault{.rank = rank, .answer = answer, .instead = instead, .close = true});
        const Result<JobPlace> place = join_all(server, 2, 60)[static_cast<size_t>(rank)];
        ASSERT_FALSE(place.ok()) << "rank " << rank << ", answer " << answer << ": " << instead.substr(0, 80);
        EXPECT_EQ(place.status().code(), Code::kRemote) << place.status().message();
        EXPECT_NE(place.status().message().find("PMI"), std::string::npos) << place.status().message();
        EXPECT_LT(place.status().message().size(), 1000U);
      }
    }
  }
}

// It neither answers nor hangs up. The bound is of waiting, not of speed: without it these would never return.
TEST_P(Pmi, SilenceAndHalfAnswersTimeOut) {
  for (const std::string half : {"", "cmd=", "     "}) {
    for (int answer = 0; answer < GetParam().answers[1]; ++answer) {
      PmiServer server(2, 1024, PmiFault{.rank = 1, .answer = answer, .instead = half});
      const std::vector<Result<JobPlace>> places = join_all(server, 2, 0.1);
      ASSERT_FALSE(places[1].ok());
      EXPECT_EQ(places[1].status().code(), Code::kTimeout) << places[1].status().message();
      EXPECT_NE(places[1].status().message().find("TUTTI_INIT_TIMEOUT"), std::string::npos);
    }
  }
}

TEST_P(Pmi, ARankThatNeverCallsIsATimeoutOfTheOthers) {
  PmiServer server(2);
  const Result<JobPlace> place = GetParam().launcher->join(server.environment(0), config(0.1));
  ASSERT_FALSE(place.ok());
  EXPECT_EQ(place.status().code(), Code::kTimeout);
}

TEST_P(Pmi, BadVariablesAreNamed) {
  const Environment environments[] = {Environment({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"PMI_FD", "77777"}}),
                                      Environment({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"PMI_FD", "x"}}),
                                      Environment({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"PMI_FD", "0"}}),
                                      Environment({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}),
                                      Environment({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}, {"PMI_FD", "77777"}}),
                                      Environment(Environment::Variables{{"PMI_RANK", "2"}}),
                                      Environment({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"PMI_PORT", "nowhere"}}),
                                      Environment({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"PMI_PORT", "127.0.0.1:1"}})};
  for (const Environment& environment : environments) {
    const Result<JobPlace> place = GetParam().launcher->join(environment, config(1));
    ASSERT_FALSE(place.ok());
    EXPECT_EQ(place.status().code(), Code::kInvalidUsage);
    EXPECT_NE(place.status().message().find("PMI_"), std::string::npos) << place.status().message();
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, Pmi, ::testing::ValuesIn(kProtocols), [](const auto& p) { return std::string(p.param.name); });

// Managers with short values get the id in pieces.
TEST(Pmi1, LongIdsTravelInPieces) {
  for (const int longest : {9, 64, 256, 257, 258}) {
    PmiServer server(2, longest);
    std::vector<Result<JobPlace>> places(2, Status(Code::kInternal, "did not run"));
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] { places[rank] = pmi1_launcher.join(server.environment(static_cast<int>(rank)), Config()); });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(places[0].ok()) << places[0].status().message();
    ASSERT_TRUE(places[1].ok()) << places[1].status().message();
    EXPECT_EQ(id_to_hex(places[0].value().id), id_to_hex(places[1].value().id));
    EXPECT_EQ(server.longest_value_seen(), std::min(longest - 1, 256));
  }
}

}  // namespace
}  // namespace tutti
