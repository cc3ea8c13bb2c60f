// The key of a job that has no private exchange: from TUTTI_SECRET, or, guessable, from what everybody knows.
// Threading: pure but for reading the secret's file.
#pragma once

#include <string>

#include "base/config.h"
#include "base/crypto.h"

namespace tutti {

struct DerivedKey {
  Key key{};
  bool weak = false;  // no TUTTI_SECRET: anybody who can reach the port can compute it
};

// `secret` is TUTTI_SECRET: the secret itself, or @FILE, whose trailing newline does not count. `meeting_place` tells jobs with one secret
// apart: job id, host and port, equal on all ranks. Errors: kInvalidUsage (the file cannot be read, or is empty).
Result<DerivedKey> derive_key(const std::string& secret, const std::string& meeting_place);

}  // namespace tutti
