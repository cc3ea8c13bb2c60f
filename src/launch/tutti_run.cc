// tutti-run: rank, size and unique id stand in the environment.
#include "launch/launcher.h"
#include "launch/unique_id_text.h"

namespace tutti {
namespace {

bool present(const Environment& environment, const Config& config) {
  if (environment.has("TUTTI_UNIQUE_ID")) return true;
  // With TUTTI_RENDEZVOUS these two are half of another way.
  return config.rendezvous.empty() && (environment.has("TUTTI_RANK") || environment.has("TUTTI_SIZE"));
}

Result<JobPlace> join(const Environment& environment, const Config&) {
  const Status partial(
      Code::kInvalidUsage,
      "TUTTI_RANK, TUTTI_SIZE and TUTTI_UNIQUE_ID (256 hex digits) must be set together: start the program with tutti-run, or unset all "
      "three; TUTTI_RANK and TUTTI_SIZE alone need TUTTI_RENDEZVOUS=host:port");
  for (const char* name : {"TUTTI_RANK", "TUTTI_SIZE", "TUTTI_UNIQUE_ID"}) {
    if (!environment.says(name)) return partial;
  }
  const Result<Numbers> numbers = read_numbers(environment, "TUTTI_RANK", "TUTTI_SIZE");
  if (!numbers.ok()) return numbers.status();
  const Result<RendezvousId> id = id_from_hex(environment.value("TUTTI_UNIQUE_ID"));
  if (!id.ok()) return id.status().code() == Code::kInvalidUsage ? partial : id.status();
  return JobPlace{numbers.value().rank, numbers.value().nranks, id.value()};
}

}  // namespace

const Launcher tutti_run_launcher = {.name = "tutti", .present = present, .join = join, .again = Again::kAlways};

}  // namespace tutti
