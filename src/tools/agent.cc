#include "tools/agent.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace tutti::run {
namespace {

constexpr const char* kGreeting = "tutti-run agent 1";
constexpr const char* kMark = "\x1etutti-run: ";  // a control character that no text begins with
constexpr size_t kMostStrings = 1 << 20;
constexpr size_t kMostBytes = 64 << 20;  // of all strings together
constexpr auto kOrderWithin = std::chrono::seconds(60);

class Writer {
 public:
  void text(const std::string& s) { out_ += std::to_string(s.size()) + ":" + s + ","; }
  void number(int value) { text(std::to_string(value)); }
  void list(const std::vector<std::string>& strings) {
    number(static_cast<int>(strings.size()));
    for (const std::string& s : strings) text(s);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads what Writer wrote; after an error everything is empty.
class Reader {
 public:
  explicit Reader(int fd) : fd_(fd) {}

  std::string text() {
    size_t size = 0;
    char c = 0;
    for (int digits = 0; (c = byte()) >= '0' && c <= '9' && digits < 9; ++digits) size = 10 * size + static_cast<size_t>(c - '0');
    total_ += size;
    if (c != ':' || total_ > kMostBytes) return fail(Code::kInvalidArgument, "that is no order of tutti-run's");
    std::string s(size, '\0');
    if (!read_all(s.data(), size)) return {};
    return byte() == ',' ? s : fail(Code::kInvalidArgument, "that is no order of tutti-run's");
  }
  int number() {
    const std::string s = text();
    int value = -1;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
    if (error != std::errc() || end != s.data() + s.size() || value < 0) fail(Code::kInvalidArgument, "an order without a number");
    return value;
  }
  std::vector<std::string> list() {
    std::vector<std::string> strings;
    const int count = number();
    if (count > static_cast<int>(kMostStrings)) fail(Code::kInvalidArgument, "an order of too many words");
    while (status_.ok() && static_cast<int>(strings.size()) < count) strings.push_back(text());
    return strings;
  }
  const Status& status() const { return status_; }

 private:
  std::string fail(Code code, const std::string& why) {
    if (status_.ok()) status_ = Status(code, "--agent is for tutti-run itself to use: " + why);
    return {};
  }

  char byte() {
    char c = 0;
    return read_all(&c, 1) ? c : '\0';
  }

  bool read_all(char* to, size_t size) {
    while (size > 0 && status_.ok()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now()).count();
      pollfd wait = {fd_, POLLIN, 0};
      const int ready = poll(&wait, 1, static_cast<int>(std::max<int64_t>(left, 0)));
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) fail(Code::kTimeout, "no order came within a minute");
      const ssize_t n = ready > 0 ? read(fd_, to, size) : 0;
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) {
        fail(Code::kInvalidArgument, "the order ends early");
        return false;
      }
      to += n;
      size -= static_cast<size_t>(n);
    }
    return status_.ok();
  }

  int fd_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + kOrderWithin;
  size_t total_ = 0;
  Status status_;
};

// For a POSIX shell.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace

std::string encode_order(const AgentOrder& order) {
  Writer writer;
  writer.text(kGreeting);
  for (const int value : {order.ranks, order.first, order.count, order.keep_going ? 1 : 0, order.prefix_output ? 1 : 0})
    writer.number(value);
  for (const std::string& text : {order.pin, order.unique_id_hex, order.folder}) writer.text(text);
  writer.list(order.command);
  writer.list(order.environment);
  return writer.take();
}

Result<AgentOrder> read_order(int fd) {
  Reader reader(fd);
  const std::string greeting = reader.text();
  if (reader.status().ok() && greeting != kGreeting) {
    return Status(Code::kInvalidArgument,
                  "this host's tutti-run is of another version than the one that started it: install one everywhere");
  }
  AgentOrder order;
  order.ranks = reader.number();
  order.first = reader.number();
  order.count = reader.number();
  order.keep_going = reader.number() != 0;
  order.prefix_output = reader.number() != 0;
  order.pin = reader.text();
  order.unique_id_hex = reader.text();
  order.folder = reader.text();
  order.command = reader.list();
  order.environment = reader.list();
  if (!reader.status().ok()) return reader.status();
  if (order.count < 1 || order.first < 0 || order.first + order.count > order.ranks || order.command.empty()) {
    return Status(Code::kInvalidArgument, "--agent is for tutti-run itself to use: an order that makes no sense");
  }
  return order;
}

std::string encode_notice(const Notice& notice) {
  switch (notice.kind) {
    case Notice::Kind::kStarted: return std::string(kMark) + "started\n";
    case Notice::Kind::kDone: return std::string(kMark) + "done\n";
    case Notice::Kind::kFailed: break;
  }
  return std::string(kMark) + "failed " + std::to_string(notice.rank) + " " + std::to_string(notice.wait_status) + "\n";
}

std::optional<Notice> take_notice(std::string& line) {
  const size_t mark = line.rfind(kMark);
  if (mark == std::string::npos) return std::nullopt;
  std::istringstream words(line.substr(mark + std::strlen(kMark)));
  std::string word;
  Notice notice;
  words >> word;
  if (word == "failed") {
    notice.kind = Notice::Kind::kFailed;
    if (!(words >> notice.rank >> notice.wait_status)) return std::nullopt;
  } else if (word == "done") {
    notice.kind = Notice::Kind::kDone;
  } else if (word != "started") {
    return std::nullopt;
  }
  line.resize(mark);
  return notice;
}

Result<std::vector<std::string>> remote_command(const std::string& host) {
  const char* const shell = std::getenv("TUTTI_RSH");
  std::istringstream words(shell == nullptr || *shell == '\0' ? "ssh" : shell);
  std::vector<std::string> command;
  for (std::string word; words >> word;) command.push_back(word);
  if (command.empty()) return Status(Code::kInvalidArgument, "TUTTI_RSH is blank: give the remote shell's command, such as ssh -p 2222");
  char path[4096] = {};
  if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
    return Status(Code::kSystem, std::string("cannot find tutti-run's own path: ") + std::strerror(errno));
  command.push_back(host);
  command.push_back("exec " + quoted(path) + " --agent");
  return command;
}

Result<std::vector<std::string>> carried_environment(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::getenv(name.c_str()) == nullptr) return Status(Code::kInvalidArgument, "--env " + name + ": it is not set here");
  }
  std::vector<std::string> carried;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    const bool goes = name.starts_with("TUTTI_") || name == "LD_LIBRARY_PATH" || std::find(names.begin(), names.end(), name) != names.end();
    if (goes && name != "TUTTI_RSH") carried.emplace_back(text);
  }
  return carried;
}

}  // namespace tutti::run
