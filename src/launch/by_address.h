// Meeting at an address that all ranks were told: rank 0 listens there, the others connect.
// Threading: any thread; blocks within the init timeout.
#pragma once

#include <string>

#include "base/config.h"
#include "launch/environment.h"
#include "launch/launcher.h"

namespace tutti {

struct MeetingAddress {
  std::string host;  // a name, an IPv4 or an IPv6 address
  uint16_t port = 0;
  std::string variables;  // that gave it, as NAME=VALUE, for messages
};

// "host:port" or "[ipv6]:port". Errors: kInvalidUsage that names `variable`.
Result<MeetingAddress> parse_address(const std::string& variable, const std::string& text);

// Rank 0 listens at the address's port; the others wait until somebody does. The key comes from config.secret, else is guessable, which
// rank 0 says in the log. `job` tells jobs apart (may be empty; the same on all ranks). Errors: kInvalidUsage (the name does not resolve,
// the port is taken), kTimeout (nobody listens), kSystem.
Result<JobPlace> meet_at(const MeetingAddress& address, const Numbers& numbers, const std::string& job, const Config& config);

}  // namespace tutti
