// tutti-run from outside: exit status, environment, what becomes of the other ranks, signals, output. Nothing here is timed: steps are
// ordered by what the ranks say, and "nobody is left" is the end of the output that all of them hold open.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "subprocess.h"

namespace tutti {
namespace {

std::vector<std::string> job(std::vector<std::string> options, const std::vector<std::string>& actions) {
  options.insert(options.begin(), TUTTI_RUN);
  options.push_back("--");
  options.push_back(TEST_RANK);
  options.insert(options.end(), actions.begin(), actions.end());
  return options;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

void wait_until_ready(Subprocess& process, int ranks) {
  for (int i = 0; i < ranks; ++i) ASSERT_NE(process.wait_for_out("ready"), "");
}

TEST(TuttiRun, BadUsageIsTwoWithAMessageAndNoResult) {
  const std::vector<std::vector<std::string>> wrong = {
      {TUTTI_RUN},
      {TUTTI_RUN, "-n", "2"},
      {TUTTI_RUN, "-n", "2", "--"},
      {TUTTI_RUN, "-n", "0", "--", TEST_RANK},
      {TUTTI_RUN, "-n", "two", "--", TEST_RANK},
      {TUTTI_RUN, "-n", "2", TEST_RANK},
      {TUTTI_RUN, "-n", "2", "--pin", "perhaps", "--", TEST_RANK},
      {TUTTI_RUN, "-n", "2", "--grace", "-1", "--", TEST_RANK},
      {TUTTI_RUN, "-n", "2", "--hosts", "file", "--", TEST_RANK},
  };
  for (const std::vector<std::string>& command : wrong) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(command);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err, "");
  }
}

TEST(TuttiRun, HelpIsAResult) {
  const Outcome outcome = run({TUTTI_RUN, "--help"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  for (const char* option : {"-n", "--keep-going", "--prefix-output", "--pin", "--grace"})
    EXPECT_EQ(count(outcome.out, option) > 0, true) << option;
}

TEST(TuttiRun, EveryRankGetsItsEnvironment) {
  // An outer job's variables give way.
  const Outcome outcome = run(job({"-n", "3"}, {"*=env"}), {"TUTTI_RANK=7", "TUTTI_SIZE=9", "TUTTI_UNIQUE_ID=old"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::set<std::string> ranks, ids;
  const std::regex shape("rank ([0-2]) size 3 local \\1 of 3 id ([0-9a-f]{256})");
  for (const std::string& line : lines(outcome.out)) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(line, match, shape)) << line;
    ranks.insert(match[1]);
    ids.insert(match[2]);
  }
  EXPECT_EQ(ranks.size(), 3U);
  EXPECT_EQ(ids.size(), 1U);
}

// A rank of tutti-run inside mpirun must not take itself for one of mpirun's, nor be told to.
TEST(TuttiRun, LaunchersAroundItAreHiddenFromRanks) {
  const std::vector<std::string> outer = {
      "PMI_FD=5",         "PMI_PORT=h:1",           "PMI_ID=0",           "PMI_RANK=0",          "PMI_SIZE=1",          "PMIX_RANK=0",
      "PMIX_NAMESPACE=n", "OMPI_COMM_WORLD_RANK=0", "PMIX_SERVER_URI2=u", "TUTTI_LAUNCHER=pmix", "TUTTI_RENDEZVOUS=h:1"};
  const Outcome outcome = run({TUTTI_RUN, "-n", "1", "--", "env"}, outer);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(count(outcome.out, "TUTTI_UNIQUE_ID="), 1U);
  for (const std::string& variable : outer) EXPECT_EQ(count(outcome.out, variable), 0U) << variable;
}

TEST(TuttiRun, MissingCommandIsNamed) {
  for (const std::string name : {"no-such-program", "/no/such/program", "/etc"}) {
    const Outcome outcome = run({TUTTI_RUN, "-n", "2", "--", name});
    EXPECT_EQ(outcome.status, 1) << name;
    EXPECT_EQ(count(outcome.err, "tutti-run: " + name), 1U) << outcome.err;
  }
}

// A file that looks like a program until it is started.
TEST(TuttiRun, WhatCannotBeExecutedIsNamedWithItsReason) {
  char file[] = "/tmp/tutti-test-XXXXXX";
  const Fd fd(mkstemp(file));
  ASSERT_TRUE(fd);
  ASSERT_EQ(fchmod(fd.get(), 0700), 0);
  ASSERT_EQ(write(fd.get(),
                  "\x7f"
                  "ELF?",
                  5),
            5);
  const Outcome outcome = run({TUTTI_RUN, "-n", "2", "--", file});
  unlink(file);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(count(outcome.err, std::string("tutti-run: cannot start rank 0: ") + file), 1U) << outcome.err;
}

TEST(TuttiRun, AFailureEndsTheOthersAndGivesItsStatus) {
  Subprocess process(job({"-n", "3", "--grace", "0.05"}, {"1=wait:10:5", "*=wait:15"}));
  wait_until_ready(process, 3);
  process.signal(SIGUSR1);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 5);
  EXPECT_EQ(count(outcome.out, "got 15"), 2U) << outcome.out;
  EXPECT_EQ(count(outcome.err, "tutti-run: rank 1 (pid "), 1U) << outcome.err;
  EXPECT_EQ(count(outcome.err, "exited with status 5; ending the others in 0.05 s"), 1U) << outcome.err;
}

TEST(TuttiRun, TheOthersMayReportWithinTheGrace) {
  Subprocess process(job({"-n", "2", "--grace", "1000"}, {"0=exit:3", "*=wait:10"}));
  ASSERT_NE(process.wait_for_err("rank 0"), "");
  wait_until_ready(process, 1);
  process.signal(SIGUSR1);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(count(outcome.out, "got 10"), 1U);
}

TEST(TuttiRun, DeathBySignalIs128PlusItsNumber) {
  const Outcome outcome = run(job({"-n", "2", "--grace", "0.05"}, {"1=signal:9", "*=wait:15"}));
  EXPECT_EQ(outcome.status, 137);
  EXPECT_EQ(count(outcome.err, "was killed by signal 9 (Killed); ending the others"), 1U) << outcome.err;
}

// Rank 0 dies of the handed-on SIGUSR2; rank 1 hears that and SIGTERM, and heeds only SIGUSR1, which never comes.
TEST(TuttiRun, WhoIgnoresSigtermIsKilled) {
  Subprocess process(job({"-n", "2", "--grace", "0"}, {"0=stubborn", "*=wait:10"}));
  wait_until_ready(process, 2);
  process.signal(SIGUSR2);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 128 + SIGUSR2);
  EXPECT_EQ(count(outcome.out, "got 15"), 1U) << outcome.out;
}

TEST(TuttiRun, KeepGoingEndsNobody) {
  Subprocess process(job({"-n", "3", "--keep-going", "--grace", "0"}, {"0=exit:3", "*=wait:10"}));
  EXPECT_NE(process.wait_for_err("exited with status 3; the others go on"), "");
  wait_until_ready(process, 2);
  process.signal(SIGUSR1);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(count(outcome.out, "got 10"), 2U) << outcome.out;
  EXPECT_EQ(count(outcome.out, "got 15"), 0U) << outcome.out;
}

TEST(TuttiRun, SignalsAreHandedOn) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    Subprocess process(job({"-n", "2"}, {"*=wait:" + std::to_string(number)}));
    wait_until_ready(process, 2);
    process.signal(number);
    const Outcome outcome = process.finish();
    EXPECT_EQ(outcome.status, 0) << number << outcome.err;
    EXPECT_EQ(count(outcome.out, "got " + std::to_string(number)), 2U) << outcome.out;
  }
}

TEST(TuttiRun, RanksThatDieOfAHandedOnSignalGiveItsStatusAndOneMessage) {
  Subprocess process(job({"-n", "3"}, {"*=stubborn"}));
  wait_until_ready(process, 3);
  process.signal(SIGINT);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 130);
  EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome.err;
}

// finish() returns only once every rank, too, has closed its output.
TEST(TuttiRun, NobodyIsLeftWhenTuttiRunItselfIsKilled) {
  Subprocess process(job({"-n", "3"}, {"*=stubborn"}));
  wait_until_ready(process, 3);
  process.signal(SIGKILL);
  EXPECT_EQ(process.finish().status, 137);
}

TEST(TuttiRun, WhatAFailedRankLeavesBehindIsEnded) {
  const Outcome outcome = run(job({"-n", "2", "--grace", "0.05"}, {"*=behind:6"}));
  EXPECT_EQ(outcome.status, 6);
}

TEST(TuttiRun, PrefixedLinesAreWholeAndComplete) {
  constexpr int kLines = 2000;
  const Outcome outcome = run(job({"-n", "4", "--prefix-output"}, {"*=lines:" + std::to_string(kLines)}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::vector<int> next(4);
  for (const std::string& line : lines(outcome.out)) {
    ASSERT_GE(line.size(), 4U);
    const int rank = line[1] - '0';
    ASSERT_TRUE(rank >= 0 && rank < 4) << line;
    const std::string tag = line.substr(0, 1) + std::to_string(rank) + "] ";
    const int number = next[rank]++;
    const std::string expected = number == kLines ? "half" : "line " + std::to_string(number) + " " + std::string(40, 'x');
    ASSERT_EQ(line, tag + expected);
  }
  EXPECT_EQ(next, std::vector<int>(4, kLines + 1));
}

TEST(TuttiRun, PrefixedOutputKeepsItsStreamAndTheMessages) {
  const Outcome outcome = run(job({"-n", "2", "--prefix-output", "--grace", "0.05"}, {"1=exit:2", "*=wait:15"}));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(count(outcome.err, "tutti-run: rank 1"), 1U) << outcome.err;
  EXPECT_EQ(count(outcome.out, "tutti-run"), 0U) << outcome.out;
}

std::vector<int> own_pus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> result;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return result;
  for (int pu = 0; pu < CPU_SETSIZE; ++pu) {
    if (CPU_ISSET(pu, &set)) result.push_back(pu);
  }
  return result;
}

TEST(TuttiRun, PinsRoundRobinWhenThereAreEnoughPus) {
  const size_t pus = own_pus().size();
  const Outcome enough = run(job({"-n", std::to_string(pus)}, {"*=affinity"}));
  const std::vector<std::string> each = lines(enough.out);
  EXPECT_EQ(count(enough.out, "pus 1 first"), pus) << enough.out;
  EXPECT_EQ(std::set<std::string>(each.begin(), each.end()).size(), pus) << "every rank on a PU of its own\n" << enough.out;

  const std::string all = "pus " + std::to_string(pus) + " first";
  EXPECT_EQ(count(run(job({"-n", std::to_string(pus + 1)}, {"*=affinity"})).out, all), pus + 1);
  EXPECT_EQ(count(run(job({"-n", "1", "--pin", "no"}, {"*=affinity"})).out, all), 1U);
  EXPECT_EQ(count(run(job({"-n", std::to_string(pus + 1), "--pin", "yes"}, {"*=affinity"})).out, "pus 1 first"), pus + 1);
}

TEST(TuttiRun, RankZeroReadsStandardInputAndNobodyElse) {
  const Outcome outcome = run(job({"-n", "3"}, {"*=input"}), {}, "hello");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(count(outcome.out, "input 5\n"), 1U) << outcome.out;
  EXPECT_EQ(count(outcome.out, "input 0\n"), 2U) << outcome.out;
}

// Beyond those that tutti-run itself was given, which a test's parent may have left open.
TEST(TuttiRun, RanksInheritNoDescriptorsOfTuttiRun) {
  const std::string alone = run({TEST_RANK, "*=count"}).out;
  const Outcome outcome = run(job({"-n", "2"}, {"*=count"}));
  EXPECT_EQ(outcome.out, alone + alone);
  EXPECT_EQ(count(run(job({"-n", "2", "--prefix-output"}, {"*=count"})).out, alone), 2U);
}

}  // namespace
}  // namespace tutti
