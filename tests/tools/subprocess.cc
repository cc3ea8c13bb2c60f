#include "subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace tutti {

namespace {

void make_pipe(Fd& read_end, Fd& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
}

// False at the end of the stream.
bool read_some(const Fd& fd, std::string& text) {
  char buffer[65536];
  const ssize_t got = read(fd.get(), buffer, sizeof buffer);
  if (got > 0) text.append(buffer, static_cast<size_t>(got));
  return got > 0;
}

std::string wait_for_line(const Fd& fd, std::string& text, const std::string& part) {
  for (;;) {
    for (size_t end; (end = text.find('\n')) != std::string::npos;) {
      const std::string line = text.substr(0, end);
      text.erase(0, end + 1);
      if (line.find(part) != std::string::npos) return line;
    }
    if (!read_some(fd, text)) return "";
  }
}

}  // namespace

Subprocess::Subprocess(std::vector<std::string> command, const std::vector<std::string>& environment, const std::string& input) {
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  Fd in_read, in_write, out_write, err_write;
  make_pipe(in_read, in_write);
  make_pipe(out_, out_write);
  make_pipe(err_, err_write);
  pid_ = fork();
  if (pid_ == 0) {  // the test has one thread: anything is allowed here
    dup2(in_read.get(), STDIN_FILENO);
    dup2(out_write.get(), STDOUT_FILENO);
    dup2(err_write.get(), STDERR_FILENO);
    for (const std::string& entry : environment) setenv(entry.substr(0, entry.find('=')).c_str(), entry.c_str() + entry.find('=') + 1, 1);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (!input.empty() && write(in_write.get(), input.data(), input.size()) < 0) abort();
}

Subprocess::~Subprocess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Subprocess::signal(int number) const {
  kill(pid_, number);
}

std::string Subprocess::wait_for_out(const std::string& part) {
  return wait_for_line(out_, out_text_, part);
}

std::string Subprocess::wait_for_err(const std::string& part) {
  return wait_for_line(err_, err_text_, part);
}

Outcome Subprocess::finish() {
  bool out_open = true;
  bool err_open = true;
  while (out_open || err_open) {
    pollfd polls[] = {{out_open ? out_.get() : -1, POLLIN, 0}, {err_open ? err_.get() : -1, POLLIN, 0}};
    if (poll(polls, 2, -1) < 0) continue;
    if (polls[0].revents != 0) out_open = read_some(out_, out_text_);
    if (polls[1].revents != 0) err_open = read_some(err_, err_text_);
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), std::move(out_text_), std::move(err_text_)};
}

Outcome run(std::vector<std::string> command, const std::vector<std::string>& environment, const std::string& input) {
  return Subprocess(std::move(command), environment, input).finish();
}

}  // namespace tutti
