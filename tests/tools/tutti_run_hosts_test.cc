// tutti-run --hosts, with a script in the remote shell's place: what ranks elsewhere are told, how they fail and how they are ended. As in
// tutti_run_test.cc nothing is timed, and the end of the output means that nobody is left.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "subprocess.h"

namespace tutti {
namespace {

const std::string kRsh = std::string("TUTTI_RSH=") + REMOTE_SHELL;

// A file that goes with its object.
class HostsFile {
 public:
  explicit HostsFile(const std::string& text) {
    const Fd fd(mkstemp(path_));
    EXPECT_TRUE(fd);
    std::ofstream(path_) << text;
  }
  ~HostsFile() { unlink(path_); }
  HostsFile(const HostsFile&) = delete;
  HostsFile& operator=(const HostsFile&) = delete;
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/tutti-hosts-XXXXXX";
};

std::vector<std::string> job(const HostsFile& hosts, std::vector<std::string> options, const std::vector<std::string>& command) {
  options.insert(options.begin(), {TUTTI_RUN, "--hosts", hosts.path()});
  options.push_back("--");
  options.insert(options.end(), command.begin(), command.end());
  return options;
}

std::set<std::string> lines(const std::string& text) {
  std::set<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.insert(line);
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

// The argument lists of all processes.
std::string all_command_lines() {
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::ostringstream text;
    if (file && text << file.rdbuf()) all += text.str() + "\n";
  }
  return all;
}

TEST(TuttiRunHosts, RanksArePlacedInOrderOfTheLines) {
  const HostsFile hosts("localhost slots=1\n# nothing\nnode-a slots=2\nnode-b slots=5\n");
  const Outcome outcome =
      run(job(hosts, {"-n", "5"}, {"sh", "-c", "echo $TUTTI_RANK $TUTTI_SIZE $TUTTI_LOCAL_RANK $TUTTI_LOCAL_SIZE $FAKE_HOST"}), {kRsh});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines(outcome.out), (std::set<std::string>{"0 5 0 1", "1 5 0 2 node-a", "2 5 1 2 node-a", "3 5 0 2 node-b", "4 5 1 2 node-b"}));
  EXPECT_EQ(outcome.err, "");
}

TEST(TuttiRunHosts, EverySlotIsARankWithoutN) {
  const HostsFile hosts("node-a slots=2\nnode-b\n");
  const Outcome outcome = run(job(hosts, {}, {TEST_RANK, "*=env"}), {kRsh});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(count(outcome.out, "size 3"), 3U);
}

// Quotes, blanks, newlines, dollars: arguments and variables arrive as they are, and so does the folder.
TEST(TuttiRunHosts, WordsArriveUnchanged) {
  const std::string nasty = "a 'b' \"c\" $HOME `d` \\ ; e\nf\t*";
  const HostsFile hosts("node-a\n");
  const Outcome outcome =
      run(job(hosts, {"--env", "NASTY"}, {"sh", "-c", "printf '%s|%s|%s|%s' \"$1\" \"$NASTY\" \"$TUTTI_X\" \"$PWD\"", "sh", nasty}),
          {kRsh, "NASTY=" + nasty, "TUTTI_X=" + nasty, "OTHER=x"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, nasty + "|" + nasty + "|" + nasty + "|" + std::filesystem::current_path().string());
}

TEST(TuttiRunHosts, WhatIsNotNamedStaysHere) {
  const HostsFile hosts("node-a\n");
  const Outcome outcome = run(job(hosts, {}, {"sh", "-c", "echo ${NOT_NAMED-nothing}"}), {kRsh, "NOT_NAMED=x"});
  EXPECT_EQ(outcome.out, "nothing\n");
  const Outcome unset = run(job(hosts, {"--env", "NO_SUCH_VARIABLE"}, {"true"}), {kRsh});
  EXPECT_EQ(unset.status, 2);
  EXPECT_EQ(count(unset.err, "NO_SUCH_VARIABLE"), 1U) << unset.err;
}

TEST(TuttiRunHosts, NoSecretIsOnAnyCommandLine) {
  const HostsFile hosts("localhost\nnode-a\n");
  Subprocess process(job(hosts, {}, {"sh", "-c", "echo id $TUTTI_UNIQUE_ID; exec \"$0\" '*=wait:10'", TEST_RANK}),
                     {kRsh, "TUTTI_SECRET=open-sesame-1947"});
  const std::string line = process.wait_for_out("id ");
  wait_until_ready(process, 2);
  const std::string id = line.substr(line.find("id ") + 3, 256);
  ASSERT_EQ(id.size(), 256U) << line;
  const std::string seen = all_command_lines();
  process.signal(SIGUSR1);
  EXPECT_EQ(process.finish().status, 0);
  EXPECT_NE(seen.find("--agent"), std::string::npos) << "the agent's command line must be among them";
  EXPECT_EQ(seen.find(id), std::string::npos);
  EXPECT_EQ(seen.find("open-sesame-1947"), std::string::npos);
}

TEST(TuttiRunHosts, AFailureElsewhereEndsTheOthersAndGivesItsStatus) {
  const HostsFile hosts("localhost\nnode-a slots=2\nnode-b\n");
  Subprocess process(job(hosts, {"--grace", "0.05"}, {TEST_RANK, "2=wait:10:5", "*=wait:15"}), {kRsh});
  wait_until_ready(process, 4);
  process.signal(SIGUSR1);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 5);
  EXPECT_EQ(count(outcome.out, "got 15"), 3U) << outcome.out;
  EXPECT_EQ(count(outcome.err, "rank 2 (host node-a) exited with status 5"), 1U) << outcome.err;
  EXPECT_EQ(count(outcome.err, "\n"), 1U) << outcome.err;
}

TEST(TuttiRunHosts, DeathBySignalElsewhereIs128PlusItsNumber) {
  const HostsFile hosts("node-a slots=2\n");
  const Outcome outcome = run(job(hosts, {"--grace", "0.05"}, {TEST_RANK, "1=signal:9", "*=stubborn"}), {kRsh});
  EXPECT_EQ(outcome.status, 137);
  EXPECT_EQ(count(outcome.err, "rank 1 (host node-a) was killed by signal 9"), 1U) << outcome.err;
}

TEST(TuttiRunHosts, KeepGoingEndsNobody) {
  const HostsFile hosts("node-a\nnode-b\n");
  Subprocess process(job(hosts, {"--keep-going"}, {TEST_RANK, "0=exit:3", "*=wait:10"}), {kRsh});
  EXPECT_NE(process.wait_for_err("rank 0 (host node-a) exited with status 3; the others go on"), "");
  wait_until_ready(process, 1);
  process.signal(SIGUSR1);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(count(outcome.out, "got 10"), 1U) << outcome.out;
}

TEST(TuttiRunHosts, SignalsAreHandedOnToOtherHosts) {
  const HostsFile hosts("localhost\nnode-a slots=2\n");
  Subprocess process(job(hosts, {}, {TEST_RANK, "*=wait:12"}), {kRsh});
  wait_until_ready(process, 3);
  for (const int number : {SIGHUP, SIGINT, SIGUSR1}) {
    process.signal(number);
    for (int rank = 0; rank < 3; ++rank) ASSERT_NE(process.wait_for_out("got " + std::to_string(number)), "");
  }
  process.signal(SIGUSR2);
  EXPECT_EQ(process.finish().status, 0);
}

// ^C, and ranks that die of it.
TEST(TuttiRunHosts, AnInterruptEndsTheJob) {
  const HostsFile hosts("node-a slots=2\nnode-b\n");
  Subprocess process(job(hosts, {}, {"sh", "-c", "echo ready; exec sleep 1000"}), {kRsh});
  wait_until_ready(process, 3);
  process.signal(SIGINT);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 128 + SIGINT) << outcome.err;
  EXPECT_EQ(count(outcome.err, "tutti-run:"), 1U) << outcome.err;
}

// Not even the remote shell lives on then, so what ends the ranks is that the agent's input ends.
TEST(TuttiRunHosts, NobodyIsLeftElsewhereWhenTuttiRunIsKilled) {
  const HostsFile hosts("localhost\nnode-a slots=2\n");
  Subprocess process(job(hosts, {}, {TEST_RANK, "*=stubborn"}), {kRsh});
  wait_until_ready(process, 3);
  process.signal(SIGKILL);
  EXPECT_EQ(process.finish().status, 137);
}

TEST(TuttiRunHosts, AHostThatRefusesIsNamedAndTheOthersEnd) {
  const HostsFile hosts("localhost\nrefuses slots=2\nnode-a\n");
  const Outcome outcome = run(job(hosts, {}, {TEST_RANK, "*=wait:15"}), {kRsh});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(count(outcome.err, "Connection refused"), 1U) << "what the remote shell says is shown: " << outcome.err;
  EXPECT_EQ(count(outcome.err, "cannot start ranks 1..2 on host refuses"), 1U) << outcome.err;
  EXPECT_EQ(count(outcome.err, "TUTTI_RSH"), 1U) << outcome.err;
}

TEST(TuttiRunHosts, AHostThatNeverAnswersCanBeInterrupted) {
  const HostsFile hosts("localhost\nsilent\n");
  Subprocess process(job(hosts, {}, {TEST_RANK, "*=wait:2"}), {kRsh});
  wait_until_ready(process, 1);
  process.signal(SIGINT);
  process.finish();  // must return
}

TEST(TuttiRunHosts, AHostThatIsLostIsNamedAndTheOthersEnd) {
  const HostsFile hosts("localhost\nnode-a\n");
  // A signal that has come by way of the agent says that the agent is up.
  const char* const script =
      "test $TUTTI_RANK = 0 && exec \"$0\" '*=wait:15'; trap 'kill -9 $PPID' USR1; echo ready; while :; do sleep 0.02; done";
  Subprocess process(job(hosts, {}, {"sh", "-c", script, TEST_RANK}), {kRsh});
  wait_until_ready(process, 2);
  process.signal(SIGUSR1);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(count(outcome.err, "lost host node-a with rank 1"), 1U) << outcome.err;
}

TEST(TuttiRunHosts, AMissingProgramElsewhereIsNamed) {
  const HostsFile hosts("node-a\nnode-b\n");
  const Outcome outcome = run(job(hosts, {}, {"no-such-program"}), {kRsh});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_GE(count(outcome.err, "no-such-program: command not found"), 1U) << outcome.err;
  const Outcome no_shell = run(job(hosts, {}, {"true"}), {"TUTTI_RSH=/no/such/shell -x"});
  EXPECT_EQ(no_shell.status, 1);
  EXPECT_EQ(count(no_shell.err, "/no/such/shell"), 1U) << no_shell.err;
}

TEST(TuttiRunHosts, WhatRanksLeaveBehindElsewhereIsEnded) {
  const HostsFile hosts("node-a\nnode-b\n");
  const Outcome outcome = run(job(hosts, {"--grace", "0.05"}, {TEST_RANK, "*=behind:0"}), {kRsh});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

TEST(TuttiRunHosts, PrefixedLinesFromOtherHostsAreWholeAndComplete) {
  const HostsFile hosts("localhost\nnode-a slots=2\nnode-b\n");
  const Outcome outcome = run(job(hosts, {"--prefix-output"}, {TEST_RANK, "*=lines:200"}), {kRsh});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (int rank = 0; rank < 4; ++rank) {
    const std::string tag = std::string("[").append(std::to_string(rank)) + "] ";
    EXPECT_EQ(count(outcome.out, tag + "line "), 200U);
    EXPECT_EQ(count(outcome.out, tag + "half\n"), 1U);
  }
  EXPECT_EQ(count(outcome.out, "\n"), 4 * 201U);
}

TEST(TuttiRunHosts, ErrorOutputOfOtherHostsIsComplete) {
  const HostsFile hosts("node-a slots=2\n");
  const Outcome outcome =
      run(job(hosts, {}, {"sh", "-c", "i=0; while test $i -lt 500; do echo line $i >&2; i=$((i+1)); done; printf end >&2"}), {kRsh});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(count(outcome.err, "line "), 1000U);
  EXPECT_EQ(count(outcome.err, "end"), 2U);
  EXPECT_EQ(outcome.err.find('\x1e'), std::string::npos) << "the agent's notices are not for the reader";
}

TEST(TuttiRunHosts, BadFilesAreBadUsageWithTheirLine) {
  const HostsFile wrong("a slots=2\nb slots=many\n"), few("node-a slots=2\n"), empty("");
  for (const auto& [file, part] :
       {std::pair<const HostsFile*, const char*>{&wrong, ":2: 'slots=many'"}, {&few, "2 slots"}, {&empty, "no host"}}) {
    const Outcome outcome = run(job(*file, {"-n", "3"}, {"true"}), {kRsh});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(count(outcome.err, part), 1U) << outcome.err;
    EXPECT_EQ(count(outcome.err, file->path()), 1U) << outcome.err;
  }
}

TEST(TuttiRunHosts, TheAgentRefusesWhatIsNoOrder) {
  for (const std::string& bad : {std::string(), std::string("x"), std::string("5:hello,"), std::string(100000, '0')}) {
    const Outcome outcome = run({TUTTI_RUN, "--agent"}, {}, bad.substr(0, 60000));  // what a pipe holds
    EXPECT_EQ(outcome.status, 2) << bad.substr(0, 80);
    EXPECT_NE(outcome.err, "");
  }
}

}  // namespace
}  // namespace tutti
