// A stranger, and a job that it attacks: check-hostile has the two meet in a network namespace of their own.
//   hostile attack [--seconds S] [--rate R] [--idle N] [--seed X] [--record yes|no]    attacks all that listens in this network namespace
//   hostile joins [--seconds S]                                      a rank, started by a launcher
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/comm/hostile/attack.h"

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  tutti::hostile::AttackOptions options;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--seconds") options.seconds = std::atof(argv[i + 1]);
    if (name == "--rate") options.rate = std::atoi(argv[i + 1]);
    if (name == "--idle") options.idle = std::atoi(argv[i + 1]);
    if (name == "--record") options.record = argv[i + 1] == std::string("yes");
    if (name == "--seed") options.seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (what == "attack" && options.rate > 0) return tutti::hostile::attack(options);
  if (what == "joins") return tutti::hostile::join_again_and_again(options.seconds);
  std::fprintf(stderr, "usage: hostile attack [--seconds S] [--rate R] [--idle N] [--seed X] [--record yes|no] | hostile joins [--seconds S]\n");
  return 2;
}
