#include "tools/hosts_file.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/fd.h"

namespace tutti::run {
namespace {

constexpr int kMostSlots = 65536;

// What a remote shell takes as a host, [user@]name, and nothing that it could take for an option.
bool is_host_name(std::string_view host) {
  constexpr std::string_view kOthers = "._-:@%[]";
  return host.front() != '-' && std::all_of(host.begin(), host.end(), [&](unsigned char c) {
           return std::isalnum(c) != 0 || kOthers.find(static_cast<char>(c)) != std::string_view::npos;
         });
}

bool parse_slots(std::string_view word, int& slots) {
  constexpr std::string_view kName = "slots=";
  if (!word.starts_with(kName)) return false;
  word.remove_prefix(kName.size());
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), slots);
  return error == std::errc() && end == word.data() + word.size() && slots >= 1 && slots <= kMostSlots;
}

// Only an address of this host can be bound.
bool is_own_address(const addrinfo& address) {
  const Fd fd(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && bind(fd.get(), address.ai_addr, address.ai_addrlen) == 0;
}

}  // namespace

Result<std::vector<HostSlots>> parse_hosts(std::string_view text, const std::string& file) {
  std::vector<HostSlots> hosts;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    HostSlots host;
    if (!(words >> host.host)) continue;
    const auto refuse = [&](const std::string& why) {
      return Status(Code::kInvalidArgument, file + ":" + std::to_string(number) + ": " + why);
    };
    if (!is_host_name(host.host)) return refuse("'" + host.host + "' is no host name");
    std::string word;
    if (words >> word && !parse_slots(word, host.slots)) {
      return refuse("'" + word + "' is not slots=N with N of 1 .. " + std::to_string(kMostSlots));
    }
    if (words >> word) return refuse("'" + word + "' behind the slots: a line is HOST slots=N");
    if (std::any_of(hosts.begin(), hosts.end(), [&](const HostSlots& other) { return other.host == host.host; })) {
      return refuse(host.host + " stands on an earlier line already: give it all its slots there");
    }
    hosts.push_back(host);
  }
  if (hosts.empty()) return Status(Code::kInvalidArgument, file + ": no host in it: a line is HOST slots=N");
  return hosts;
}

Result<std::vector<HostSlots>> read_hosts(const std::string& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  errno = 0;
  text << stream.rdbuf();  // fails for an empty file too, which parse_hosts() words better
  if (!stream.is_open() || stream.bad() || errno == EISDIR) {
    return Status(Code::kInvalidArgument, "--hosts " + file + ": " + (errno == 0 ? "cannot be read" : std::strerror(errno)));
  }
  return parse_hosts(text.str(), file);
}

Result<std::vector<Placement>> place_ranks(const std::vector<HostSlots>& hosts, int ranks, const std::string& file) {
  std::vector<Placement> placements;
  int next = 0;
  long long slots = 0;
  for (const HostSlots& host : hosts) {
    slots += host.slots;
    const int count = ranks == 0 ? host.slots : std::min(host.slots, ranks - next);
    if (count > 0) placements.push_back({host.host, next, count});
    next += count;
  }
  if (next < ranks) {
    return Status(Code::kInvalidArgument, "-n " + std::to_string(ranks) + ": the hosts of " + file + " have only " + std::to_string(slots) +
                                              " slots: give them more (HOST slots=N)");
  }
  return placements;
}

bool is_this_host(const std::string& host) {
  char own[256] = {};
  if (host == "localhost" || (gethostname(own, sizeof own - 1) == 0 && host == own)) return true;
  if (host.find('@') != std::string::npos) return false;  // another user
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;  // the remote shell may know the name
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (is_own_address(*each)) return true;
  }
  return false;
}

}  // namespace tutti::run
