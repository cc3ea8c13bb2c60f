// Which launcher is taken to have started a process, from its variables alone.
#include <gtest/gtest.h>

#include "launch/find_job.h"

namespace tutti {
namespace {

using Variables = Environment::Variables;

const Variables kTutti = {{"TUTTI_RANK", "1"}, {"TUTTI_SIZE", "2"}, {"TUTTI_UNIQUE_ID", "00"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "1"}, {"PMIX_NAMESPACE", "n"}};
const Variables kMpich = {{"PMI_RANK", "1"}, {"PMI_SIZE", "4"}, {"PMI_FD", "9"}, {"MPI_LOCALRANKID", "1"}};
const Variables kStep = {{"SLURM_JOB_ID", "7"}, {"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}};
const Variables kBatch = {{"SLURM_JOB_ID", "7"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}};
const Variables kSlurmPmi = {{"PMI_RANK", "1"}, {"PMI_SIZE", "4"}, {"PMI_FD", "9"}, {"PMI_JOBID", "7.0"}};
const Variables kTorchWords = {{"RANK", "1"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "h"}, {"MASTER_PORT", "29500"}};
const Variables kTorchrun = {{"TORCHELASTIC_RUN_ID", "r"}};

Variables both(Variables a, const Variables& b) {
  a.insert(b.begin(), b.end());
  return a;
}

// "none" for a job of one, "refused: ..." with the message.
std::string chosen(const Variables& variables, const Config& config = {}) {
  const Result<FoundLauncher> found = choose_launcher(Environment(variables), config);
  if (!found.ok()) return "refused: " + found.status().message();
  return found.value().launcher == nullptr ? "none" : found.value().launcher->name;
}

Config with(const std::string& launcher, const std::string& rendezvous = "") {
  Config config;
  config.launcher = launcher;
  config.rendezvous = rendezvous;
  return config;
}

TEST(ChooseLauncher, EachByItself) {
  EXPECT_EQ(chosen({}), "none");
  EXPECT_EQ(chosen({{"PATH", "/bin"}, {"RANK", "3"}}), "none");
  EXPECT_EQ(chosen({{"WORLD_SIZE", "3"}}), "none");
  EXPECT_EQ(chosen(kTutti), "tutti");
  EXPECT_EQ(chosen(kOpenMpi), "pmix");
  EXPECT_EQ(chosen(kMpich), "pmi1");
  EXPECT_EQ(chosen(kTorchWords), "torchrun");
  EXPECT_EQ(chosen(both(kStep, kSlurmPmi)), "pmi2");
  EXPECT_EQ(chosen(both(kStep, {{"PMIX_RANK", "1"}})), "pmix");
  EXPECT_EQ(chosen(both(kStep, {}), with("", "h:1")), "rendezvous");
  EXPECT_EQ(chosen({{"TUTTI_RANK", "1"}, {"TUTTI_SIZE", "2"}}, with("", "h:1")), "rendezvous");
}

TEST(ChooseLauncher, TheInnermostOfSeveral) {
  EXPECT_EQ(chosen(both(kTutti, kTorchWords)), "tutti");
  EXPECT_EQ(chosen(both(kMpich, kStep)), "pmi1") << "mpirun inside a Slurm job";
  EXPECT_EQ(chosen(both(kOpenMpi, kStep)), "pmix");
  EXPECT_EQ(chosen(both(kOpenMpi, kTorchWords)), "pmix") << "a script that sets torch's words from mpirun's";
  EXPECT_EQ(chosen(both(both(kTorchWords, kTorchrun), {{"PMIX_RANK", "0"}})), "torchrun") << "mpirun starts torchrun";
  EXPECT_EQ(chosen(both(both(kTorchWords, kTorchrun), kStep)), "torchrun");
  EXPECT_EQ(chosen(both(kTutti, kOpenMpi), with("", "h:1")), chosen(both(kTutti, kOpenMpi)));
  EXPECT_EQ(chosen(kOpenMpi, with("", "h:1")), "rendezvous");
}

TEST(ChooseLauncher, ContradictionsNameBoth) {
  const std::string refused = chosen(both(kTutti, kOpenMpi));
  for (const char* part : {"refused", "TUTTI_SIZE=2", "OMPI_COMM_WORLD_SIZE=4", "TUTTI_LAUNCHER=tutti", "pmix"}) {
    EXPECT_NE(refused.find(part), std::string::npos) << part << " in " << refused;
  }
  EXPECT_NE(chosen(both(kTutti, kMpich)).find("PMI_SIZE=4"), std::string::npos);
  EXPECT_EQ(chosen(both(kOpenMpi, kMpich)), "pmix") << "they agree";
  EXPECT_EQ(chosen(both(kTutti, kOpenMpi), with("pmix")), "pmix");
  EXPECT_EQ(chosen(both(kTutti, kOpenMpi), with("tutti")), "tutti");
}

TEST(ChooseLauncher, SrunWithoutAnExchangeIsRefusedAndABatchScriptIsNot) {
  const std::string refused = chosen(kStep);
  for (const char* part : {"refused", "SLURM_NTASKS", "--mpi=pmi2", "TUTTI_RENDEZVOUS", "TUTTI_LAUNCHER=none"}) {
    EXPECT_NE(refused.find(part), std::string::npos) << part << " in " << refused;
  }
  EXPECT_EQ(chosen(kBatch), "none");
  EXPECT_EQ(chosen(both(kBatch, {{"SLURM_STEP_ID", "4294967291"}})), "none");
  EXPECT_EQ(chosen(both({{"SLURM_STEP_NUM_TASKS", "1"}}, kStep)), "none");
  EXPECT_EQ(chosen(kStep, with("none")), "none");
}

TEST(ChooseLauncher, ForcedOnesAreTaken) {
  for (const char* name : {"tutti", "rendezvous", "torchrun", "pmix", "pmi1", "pmi2", "none"}) {
    EXPECT_EQ(chosen(both(kOpenMpi, kTutti), with(name)), name);
  }
  EXPECT_NE(chosen({}, with("mpirun")).find("TUTTI_LAUNCHER=mpirun"), std::string::npos);
}

// What a forced or half-set launcher lacks is said by name, before anything is waited for.
TEST(ChooseLauncher, WhatIsMissingIsNamed) {
  struct Case {
    const Launcher* launcher;
    Variables variables;
    Config config;
    std::vector<const char*> parts;
  };
  Config at = with("", "h:1"), bad = with("", "nowhere"), bracket = with("", "[::1:5");
  const Case cases[] = {
      {&rendezvous_launcher, {}, with("rendezvous"), {"TUTTI_RENDEZVOUS"}},
      {&rendezvous_launcher, {}, at, {"TUTTI_RANK", "TUTTI_SIZE"}},
      {&rendezvous_launcher, {{"TUTTI_RANK", "1"}}, at, {"TUTTI_RANK=1", "TUTTI_SIZE"}},
      {&rendezvous_launcher, {{"TUTTI_RANK", "4"}, {"TUTTI_SIZE", "4"}}, at, {"TUTTI_RANK=4", "TUTTI_SIZE=4"}},
      {&rendezvous_launcher, {{"TUTTI_RANK", "0"}, {"TUTTI_SIZE", "4"}}, bad, {"TUTTI_RENDEZVOUS=nowhere"}},
      {&rendezvous_launcher, {{"TUTTI_RANK", "0"}, {"TUTTI_SIZE", "4"}}, bracket, {"TUTTI_RENDEZVOUS=[::1:5"}},
      {&rendezvous_launcher, {{"SLURM_PROCID", "9"}, {"SLURM_NTASKS", "4"}}, at, {"SLURM_PROCID=9", "SLURM_NTASKS=4"}},
      {&torchrun_launcher, {}, {}, {"RANK", "WORLD_SIZE"}},
      {&torchrun_launcher, {{"RANK", "1"}, {"WORLD_SIZE", "2"}}, {}, {"MASTER_ADDR"}},
      {&torchrun_launcher, {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "h"}}, {}, {"MASTER_PORT", "TUTTI_PORT"}},
      {&torchrun_launcher, {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "h"}, {"MASTER_PORT", "65535"}}, {}, {"MASTER_PORT=65535"}},
      {&torchrun_launcher, {{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "h"}}, {}, {"RANK=2", "WORLD_SIZE=2"}},
      {&tutti_run_launcher, {{"TUTTI_RANK", "1"}}, {}, {"TUTTI_RANK", "TUTTI_SIZE", "TUTTI_UNIQUE_ID"}},
  };
  for (const Case& each : cases) {
    const Result<JobPlace> place = each.launcher->join(Environment(each.variables), each.config);
    ASSERT_FALSE(place.ok());
    EXPECT_EQ(place.status().code(), Code::kInvalidUsage);
    for (const char* part : each.parts)
      EXPECT_NE(place.status().message().find(part), std::string::npos) << part << " in " << place.status().message();
  }
}

}  // namespace
}  // namespace tutti
