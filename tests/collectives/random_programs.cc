// random_programs --seed S --ranks R --steps N [--programs P] [--timeout SECONDS] [--devices LETTERS] [--verbose]: random programs
// of N steps on R ranks, which are threads; of P seeds from S on. LETTERS: h, a or b a rank: host, or a test accelerator. Exit status: 0
// all right, 1 something was wrong, 2 bad usage.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "program_rank.h"

namespace {

int usage() {
  std::fprintf(
      stderr,
      "usage: random_programs [--seed S] [--ranks R] [--steps N] [--programs P] [--timeout SECONDS] [--devices LETTERS] [--verbose]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  tutti::test::ProgramOptions options;
  uint64_t programs = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--verbose") {
      options.verbose = true;
      continue;
    }
    if (i + 1 == argc) return usage();
    const char* const value = argv[++i];
    if (name == "--seed") {
      options.seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--ranks") {
      options.nranks = std::atoi(value);
    } else if (name == "--steps") {
      options.steps = std::atoi(value);
    } else if (name == "--programs") {
      programs = std::strtoull(value, nullptr, 10);
    } else if (name == "--devices") {
      options.devices = value;
    } else if (name == "--timeout") {
      options.timeout_s = std::atof(value);
    } else {
      return usage();
    }
  }
  if (options.nranks < 1 || options.steps < 0) return usage();
  for (uint64_t i = 0; i < programs; ++i, ++options.seed) {
    tutti::test::ProgramCounts counts;
    const std::string found = tutti::test::run_program(options, &counts);
    if (!found.empty()) {
      std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(options.seed), found.c_str());
      return 1;
    }
    std::printf("seed %llu: %d steps on %d ranks: all right (%llu collective calls, %llu sends and receives)\n",
                static_cast<unsigned long long>(options.seed), options.steps, options.nranks,
                static_cast<unsigned long long>(counts.collectives), static_cast<unsigned long long>(counts.messages));
  }
  return 0;
}
