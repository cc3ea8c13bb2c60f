#include "launch/pmi_socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "launch/by_address.h"
#include "launch/mpi_library.h"

namespace tutti {
namespace {

constexpr double kLeaveSeconds = 2;  // for the manager to answer our farewell, which changes nothing any more
constexpr const char* kWayOut =
    "; set TUTTI_RENDEZVOUS=host:port to meet without the launcher's help, or TUTTI_LAUNCHER=none for a job of one";

Result<Fd> inherited(const std::string& text) {
  const std::optional<int> number = parse_number(text);
  struct stat status = {};
  if (!number || fstat(*number, &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return Status(Code::kInvalidUsage, "PMI_FD=" + text +
                                           " is not an open socket: whatever stands between mpirun or srun and this program closed it, "
                                           "MPI_Finalize was called before, or the program "
                                           "was not started by them" +
                                           kWayOut);
  }
  Fd fd(fcntl(*number, F_DUPFD_CLOEXEC, 3));
  if (!fd) return system_error("duplicate PMI_FD", errno);
  return fd;
}

Result<Fd> connected(const std::string& text, const Deadline& deadline) {
  const Result<MeetingAddress> at = parse_address("PMI_PORT", text);
  if (!at.ok()) return at.status();
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(at.value().host.c_str(), std::to_string(at.value().port).c_str(), &hints, &found); error != 0) {
    return Status(Code::kInvalidUsage, "PMI_PORT=" + text + ": " + gai_strerror(error) + kWayOut);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Fd fd(socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd && connect(fd.get(), each->ai_addr, each->ai_addrlen) == 0) return fd;
    error = errno;
    if (!fd || error != EINPROGRESS) continue;
    pollfd wait = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
    socklen_t length = sizeof error;
    error = ETIMEDOUT;
    if (poll(&wait, 1, deadline.poll_ms()) > 0) getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == 0) return fd;
  }
  return Status(Code::kInvalidUsage, "PMI_PORT=" + text + ": " + std::strerror(error) + kWayOut);
}

// Sockets whose leave waits for the process's end. Never destroyed: exit handlers run after some destructors.
struct Leaving {
  PmiSocket socket;
  std::string farewell;
  pid_t pid;
};

Leaving*& leaving() {
  static Leaving* kept = nullptr;
  return kept;
}

void say_farewell(PmiSocket& socket, const std::string& farewell) {
  if (socket.send(farewell).ok()) static_cast<void>(socket.read_exactly(1));
}

void at_exit() {
  Leaving* const kept = leaving();
  if (kept == nullptr || kept->pid != getpid()) return;  // a forked child is not the rank
  PmiSocket socket(std::move(kept->socket));
  say_farewell(socket, kept->farewell);
}

}  // namespace

Result<PmiSocket> PmiSocket::open(const Environment& environment, double timeout_s) {
  if (environment.says("PMI_FD")) {
    Result<Fd> fd = inherited(environment.value("PMI_FD"));
    if (!fd.ok()) return fd.status();
    return PmiSocket(std::move(*fd), timeout_s);
  }
  if (environment.says("PMI_PORT")) {
    Result<Fd> fd = connected(environment.value("PMI_PORT"), Deadline(timeout_s));
    if (!fd.ok()) return fd.status();
    return PmiSocket(std::move(*fd), timeout_s);
  }
  return Status(Code::kInvalidUsage,
                std::string("neither PMI_FD nor PMI_PORT is set: start the program with MPICH's mpirun or with srun --mpi=pmi2") + kWayOut);
}

Status PmiSocket::wait_for(short events) {
  for (;;) {
    pollfd wait = {.fd = fd_.get(), .events = events, .revents = 0};
    const int ready = poll(&wait, 1, deadline_.poll_ms());
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return system_error("wait for the process manager", errno);
    if (deadline_.passed()) {
      return {Code::kTimeout, "the process manager (PMI) did not answer within " + deadline_.text() +
                                  ": do all ranks of the job call tuttiCommInitFromEnv? (TUTTI_INIT_TIMEOUT)" + kWayOut};
    }
  }
}

// MSG_DONTWAIT rather than O_NONBLOCK, which the MPI library would see on its own descriptor.
Status PmiSocket::send(std::string_view message) {
  while (!message.empty()) {
    const ssize_t n = ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      message.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      if (Status status = wait_for(POLLOUT); !status.ok()) return status;
    } else if (errno != EINTR) {
      return {Code::kRemote, std::string("the process manager (PMI) has gone: ") + std::strerror(errno) +
                                 ". If MPI_Finalize was called before, call tuttiCommInitFromEnv earlier" + kWayOut};
    }
  }
  return {};
}

Result<std::string> PmiSocket::read_line() {
  for (;;) {
    const size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    if (received_.size() >= kMaxMessageBytes) return Status(Code::kRemote, "the process manager (PMI) sent a line without end");
    Result<std::string> more = read_exactly(0);
    if (!more.ok()) return more.status();
  }
}

// With 0: something more, into received_.
Result<std::string> PmiSocket::read_exactly(size_t bytes) {
  while (bytes == 0 || received_.size() < bytes) {
    if (Status status = wait_for(POLLIN); !status.ok()) return status;
    char buffer[4096];
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) {
      return Status(Code::kRemote, std::string("the process manager (PMI) closed the connection: it has ended, or MPI_Finalize was called "
                                               "before tuttiCommInitFromEnv") +
                                       kWayOut);
    }
    received_.append(buffer, static_cast<size_t>(n));
    if (bytes == 0) return std::string();
  }
  std::string result = received_.substr(0, bytes);
  received_.erase(0, bytes);
  return result;
}

Result<std::string> PmiSocket::ask_line(std::string_view line, std::string_view answer) {
  if (Status status = send(std::string(line) + "\n"); !status.ok()) return status;
  Result<std::string> reply = read_line();
  if (!reply.ok()) return reply;
  if (pmi1_value(*reply, "cmd") != answer) {
    return Status(Code::kRemote, "the process manager (PMI) answered '" + reply->substr(0, 100) + "' where cmd=" + std::string(answer) +
                                     " was due" + kWayOut);
  }
  return reply;
}

void PmiSocket::leave(PmiSocket socket, std::string farewell) {
  socket.deadline_ = Deadline(kLeaveSeconds);
  if (!mpi_library_loaded()) return say_farewell(socket, farewell);
  leaving() = new Leaving{std::move(socket), std::move(farewell), getpid()};
  std::atexit(at_exit);
}

std::string pmi1_value(std::string_view line, std::string_view key) {
  while (!line.empty()) {
    const size_t blank = line.find(' ');
    const std::string_view token = line.substr(0, blank);
    const size_t equals = token.find('=');
    if (equals != std::string_view::npos && token.substr(0, equals) == key) return std::string(token.substr(equals + 1));
    if (blank == std::string_view::npos) break;
    line.remove_prefix(blank + 1);
  }
  return {};
}

Status pmi_init(PmiSocket& socket, int version, int subversion) {
  const std::string versions = "pmi_version=" + std::to_string(version) + " pmi_subversion=" + std::to_string(subversion);
  const Result<std::string> reply = socket.ask_line("cmd=init " + versions, "response_to_init");
  if (!reply.ok()) return reply.status();
  if (pmi1_value(reply.value(), "rc") == "0" && pmi1_value(reply.value(), "pmi_version") == std::to_string(version)) return {};
  return {Code::kRemote, "the process manager does not speak PMI-" + std::to_string(version) + " ('" + reply.value().substr(0, 100) +
                             "'): set TUTTI_LAUNCHER=" + (version == 1 ? "pmi2" : "pmi1") + kWayOut};
}

bool pmi_present(const Environment& environment) {
  return environment.says("PMI_FD") || environment.says("PMI_PORT") || environment.says("PMI_RANK");
}

}  // namespace tutti
