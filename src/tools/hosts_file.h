// tutti-run --hosts FILE: which hosts there are, how many ranks each takes, and which ranks those are.
// Threading: value types; is_this_host() may ask the resolver, which has its own bound.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tutti::run {

struct HostSlots {
  std::string host;
  int slots = 1;
};

// The ranks first .. first + count - 1 run on `host`.
struct Placement {
  std::string host;
  int first = 0;
  int count = 0;
};

// Lines "HOST" or "HOST slots=N"; blank lines and what follows a # do not count. Errors: kInvalidArgument, "FILE:LINE: ..." with what is
// legal.
Result<std::vector<HostSlots>> parse_hosts(std::string_view text, const std::string& file);
Result<std::vector<HostSlots>> read_hosts(const std::string& file);

// Fills hosts in their order; 0 ranks: as many as there are slots. Hosts that get none are left out. Errors: kInvalidArgument (more ranks
// than slots).
Result<std::vector<Placement>> place_ranks(const std::vector<HostSlots>& hosts, int ranks, const std::string& file);

// Ranks there need no remote shell: the name is localhost, this host's own, or resolves to an address of this host.
bool is_this_host(const std::string& host);

}  // namespace tutti::run
