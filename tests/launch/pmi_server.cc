#include "pmi_server.h"

#include <sys/socket.h>

#include "launch/pmi_socket.h"

namespace tutti {
namespace {

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// What stands behind key= up to the next separator, in either protocol; none of our values holds one.
std::string field(const std::string& text, const std::string& key, char separator) {
  const std::string padded = separator + text;
  const size_t at = padded.find(separator + key + "=");
  if (at == std::string::npos) return {};
  const size_t begin = at + key.size() + 2;
  return padded.substr(begin, padded.find(separator, begin) - begin);
}

}  // namespace

PmiServer::PmiServer(int ranks, int longest_value, std::optional<PmiFault> fault)
    : longest_value_(longest_value), fault_(std::move(fault)), ranks_(static_cast<size_t>(ranks)) {
  for (Rank& rank : ranks_) {
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::terminate();
    rank.ours.reset(ends[0]);
    rank.theirs.reset(ends[1]);
  }
  for (int rank = 0; rank < ranks; ++rank) ranks_[static_cast<size_t>(rank)].thread = std::thread([this, rank] { serve(rank); });
}

PmiServer::~PmiServer() {
  hang_up();
  for (Rank& rank : ranks_) {
    if (rank.thread.joinable()) rank.thread.join();
  }
}

Environment PmiServer::environment(int rank) const {
  return Environment({{"PMI_RANK", std::to_string(rank)},
                      {"PMI_SIZE", std::to_string(ranks_.size())},
                      {"PMI_JOBID", "job.0"},
                      {"PMI_FD", std::to_string(ranks_[static_cast<size_t>(rank)].theirs.get())}});
}

int PmiServer::finalized() {
  for (Rank& rank : ranks_) rank.thread.join();
  const std::lock_guard lock(mutex_);
  return finalized_;
}

int PmiServer::longest_value_seen() {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(longest_seen_);
}

void PmiServer::serve(int number) {
  Rank& rank = ranks_[static_cast<size_t>(number)];
  std::string received;
  for (;;) {
    char buffer[1024];
    const ssize_t n = recv(rank.ours.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return;
    received.append(buffer, static_cast<size_t>(n));
    for (;;) {
      bool going = true;
      if (rank.version == 2) {
        if (received.size() < 6) break;
        const size_t length = std::stoul(received.substr(0, 6));
        if (received.size() < 6 + length) break;
        going = serve_message(number, received.substr(6, length));
        received.erase(0, 6 + length);
      } else {
        const size_t end = received.find('\n');
        if (end == std::string::npos) break;
        going = serve_line(number, received.substr(0, end));
        received.erase(0, end + 1);
      }
      if (!going) return;
    }
  }
}

bool PmiServer::serve_line(int number, const std::string& line) {
  Rank& rank = ranks_[static_cast<size_t>(number)];
  const std::string command = field(line, "cmd", ' ');
  if (command == "init") {
    rank.version = field(line, "pmi_version", ' ') == "2" ? 2 : 1;
    const std::string minor = rank.version == 2 ? "0" : "1";
    return answer(number, "cmd=response_to_init pmi_version=" + std::to_string(rank.version) + " pmi_subversion=" + minor + " rc=0\n");
  }
  if (rank.version == 0) return false;  // nobody introduced himself
  if (command == "get_maxes") {
    return answer(number, "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=" + std::to_string(longest_value_) + "\n");
  }
  if (command == "get_my_kvsname") return answer(number, "cmd=my_kvsname kvsname=kvs_1_0\n");
  if (command == "barrier_in") return barrier() && answer(number, "cmd=barrier_out\n");
  if (command == "finalize") {
    {
      const std::lock_guard lock(mutex_);
      ++finalized_;
    }
    return answer(number, "cmd=finalize_ack\n");
  }
  if (field(line, "kvsname", ' ') != "kvs_1_0") return false;
  if (command == "put") {
    const std::string value = field(line, "value", ' ');
    if (static_cast<int>(value.size()) >= longest_value_) return answer(number, "cmd=put_result rc=-1 msg=value_too_long\n");
    put(field(line, "key", ' '), value);
    return answer(number, "cmd=put_result rc=0 msg=success\n");
  }
  if (command == "get") {
    const std::optional<std::string> value = get(field(line, "key", ' '));
    return answer(number, value ? "cmd=get_result rc=0 msg=success value=" + *value + "\n" : "cmd=get_result rc=-1 msg=key_not_found\n");
  }
  return false;
}

bool PmiServer::serve_message(int number, const std::string& body) {
  const std::string command = field(body, "cmd", ';');
  if (command == "fullinit") {
    if (field(body, "pmijobid", ';') != "job.0" || field(body, "pmirank", ';') != std::to_string(number)) return false;
    return answer_message(number, "cmd=fullinit-response;pmi-version=2;pmi-subversion=0;rank=" + std::to_string(number) +
                                      ";size=" + std::to_string(ranks_.size()) + ";appnum=0;debugged=FALSE;pmiverbose=FALSE;rc=0;");
  }
  if (command == "kvs-put") {
    put(field(body, "key", ';'), field(body, "value", ';'));
    return answer_message(number, "cmd=kvs-put-response;rc=0;");
  }
  if (command == "kvs-fence") return barrier() && answer_message(number, "cmd=kvs-fence-response;rc=0;");
  if (command == "kvs-get") {
    const std::optional<std::string> value = get(field(body, "key", ';'));
    return answer_message(number,
                          value ? "cmd=kvs-get-response;flag=TRUE;value=" + *value + ";rc=0;" : "cmd=kvs-get-response;flag=FALSE;rc=0;");
  }
  if (command != "finalize") return false;
  {
    const std::lock_guard lock(mutex_);
    ++finalized_;
  }
  return answer_message(number, "cmd=finalize-response;rc=0;");
}

bool PmiServer::answer(int number, const std::string& text) {
  Rank& rank = ranks_[static_cast<size_t>(number)];
  const bool faulty = fault_ && fault_->rank == number && fault_->answer == rank.answers++;
  if (!faulty) return send_all(rank.ours.get(), text);
  send_all(rank.ours.get(), fault_->instead);
  if (fault_->close) hang_up();
  return true;
}

bool PmiServer::answer_message(int number, const std::string& body) {
  const std::string length = std::to_string(body.size());
  return answer(number, std::string(6 - length.size(), ' ') + length + body);
}

bool PmiServer::barrier() {
  std::unique_lock lock(mutex_);
  const int mine = passed_;
  if (++waiting_ == static_cast<int>(ranks_.size())) {
    waiting_ = 0;
    ++passed_;
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return passed_ != mine || over_; });
  return passed_ != mine;
}

void PmiServer::put(const std::string& key, const std::string& value) {
  const std::lock_guard lock(mutex_);
  values_[key] = value;
  longest_seen_ = std::max(longest_seen_, value.size());
}

// Only what was put before a barrier is there after it; nobody puts later here.
std::optional<std::string> PmiServer::get(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = values_.find(key);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

void PmiServer::hang_up() {
  const std::lock_guard lock(mutex_);
  over_ = true;
  changed_.notify_all();
  for (Rank& rank : ranks_) shutdown(rank.ours.get(), SHUT_RDWR);
}

}  // namespace tutti
