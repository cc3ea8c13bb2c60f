#include "launch/secret.h"

#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "base/log.h"

namespace tutti {
namespace {

// HMAC-SHA-256 with a fixed label as its key: HKDF's extraction.
Key derive(const char* label, const std::string& from) {
  Key salt{};
  std::memcpy(salt.data(), label, std::min(std::strlen(label), salt.size()));
  return hmac_sha256(salt, std::as_bytes(std::span(from)));
}

Result<std::string> read_secret(const std::string& secret) {
  if (secret.empty() || secret.front() != '@') return secret;
  const std::string path = secret.substr(1);
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Status(Code::kInvalidUsage,
                  "TUTTI_SECRET=@" + path + ": the file cannot be read, or is empty: give a readable file on every host");
  }
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0) {
    log_warn("TUTTI_SECRET=@" + path + " may be read by other users: chmod 600 it");
  }
  std::string content = text.str();
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  if (content.empty()) return Status(Code::kInvalidUsage, "TUTTI_SECRET=@" + path + " holds nothing: put a secret into it");
  return content;
}

}  // namespace

Result<DerivedKey> derive_key(const std::string& secret, const std::string& meeting_place) {
  if (secret.empty()) return DerivedKey{derive("tutti guessable key, version 1", meeting_place), true};
  const Result<std::string> known = read_secret(secret);
  if (!known.ok()) return known.status();
  // The length first, so that no secret and place read as another pair.
  const std::string input = std::to_string(known.value().size()) + ":" + known.value() + meeting_place;
  return DerivedKey{derive("tutti shared secret, version 1", input), false};
}

}  // namespace tutti
