#include "tests/comm/hostile/victims.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace tutti::hostile {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

void find_tcp(const char* file, Listeners& found) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 10 || words[3] != "0A") continue;  // LISTEN
    const size_t colon = words[1].rfind(':');
    found.ports.insert(static_cast<uint16_t>(std::strtoul(words[1].c_str() + colon + 1, nullptr, 16)));
    found.inodes.insert(std::strtoull(words[9].c_str(), nullptr, 10));
  }
}

size_t resident_kib(const std::filesystem::path& process) {
  std::ifstream in(process / "status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

}  // namespace

Listeners find_listeners() {
  Listeners found;
  find_tcp("/proc/net/tcp", found);
  find_tcp("/proc/net/tcp6", found);
  std::ifstream in("/proc/net/unix");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 8 || words[3] != "00010000" || !words[7].starts_with("@tutti-")) continue;
    found.names.insert(words[7].substr(1));
    found.inodes.insert(std::strtoull(words[6].c_str(), nullptr, 10));
  }
  return found;
}

std::map<pid_t, Held> find_victims(const Listeners& listeners) {
  std::map<pid_t, Held> victims;
  std::error_code gone;  // processes come and go while we look
  for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
    const pid_t pid = std::atoi(process.path().filename().c_str());
    if (pid <= 0 || pid == getpid()) continue;
    Held held;
    for (std::filesystem::directory_iterator fd(process.path() / "fd", gone), end; !gone && fd != end; fd.increment(gone)) {
      ++held.descriptors;
      const std::string target = std::filesystem::read_symlink(fd->path(), gone).string();
      if (target.starts_with("socket:[") && listeners.inodes.contains(std::strtoull(target.c_str() + 8, nullptr, 10))) ++held.listeners;
    }
    gone.clear();
    if (held.listeners == 0) continue;
    held.memory_kib = resident_kib(process.path());
    victims[pid] = held;
  }
  return victims;
}

}  // namespace tutti::hostile
