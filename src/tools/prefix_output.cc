#include "tools/prefix_output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace tutti::run {

namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kQueueBytes = 1 << 20;    // above it, sources wait
constexpr size_t kLineBytes = 256 * 1024;  // a longer line is broken: a rank must not fill our memory with one

}  // namespace

PrefixOutput::PrefixOutput() : sinks_{{STDOUT_FILENO, {}}, {STDERR_FILENO, {}}} {}

void PrefixOutput::add(int rank, Fd pipe, int target) {
  std::string tag = "[";
  tag.append(std::to_string(rank)).append("] ");
  sources_.push_back({std::move(tag), std::move(pipe), target == STDOUT_FILENO ? size_t{0} : size_t{1}, {}, {}});
}

void PrefixOutput::add_remote(Fd pipe, int target, Filter filter) {
  sources_.push_back({{}, std::move(pipe), target == STDOUT_FILENO ? size_t{0} : size_t{1}, {}, std::move(filter)});
}

void PrefixOutput::drain_remote() {
  for (Source& source : sources_) {
    while (source.filter && source.pipe && read_from(source)) {
    }
  }
}

void PrefixOutput::say(const std::string& message) {
  sinks_[1].queue += message + "\n";
}

void PrefixOutput::watch(std::vector<pollfd>& polls) const {
  for (const Source& source : sources_) {
    if (source.pipe && sinks_[source.sink].queue.size() < kQueueBytes) polls.push_back({source.pipe.get(), POLLIN, 0});
  }
  for (const Sink& sink : sinks_) {
    if (!sink.queue.empty()) polls.push_back({sink.fd, POLLOUT, 0});
  }
}

void PrefixOutput::handle(const pollfd* polls, size_t count) {
  for (const pollfd& poll : std::vector<pollfd>(polls, polls + count)) {
    if (poll.revents == 0) continue;
    const auto source = std::find_if(sources_.begin(), sources_.end(), [&](const Source& s) { return s.pipe && s.pipe.get() == poll.fd; });
    if (source != sources_.end() && (poll.events & POLLIN) != 0) read_from(*source);
    const auto sink = std::find_if(sinks_.begin(), sinks_.end(), [&](const Sink& s) { return s.fd == poll.fd; });
    if (sink != sinks_.end() && (poll.events & POLLOUT) != 0) write_to(*sink);
  }
}

bool PrefixOutput::open() const {
  return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) { return static_cast<bool>(source.pipe); });
}

bool PrefixOutput::pending() const {
  return std::any_of(sinks_.begin(), sinks_.end(), [](const Sink& sink) { return !sink.queue.empty(); });
}

void PrefixOutput::close_pipes() {
  for (Source& source : sources_) finish(source);
}

// False: there is nothing more for now.
bool PrefixOutput::read_from(Source& source) {
  char buffer[kReadBytes];
  const ssize_t got = read(source.pipe.get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return errno == EINTR;
  if (got <= 0) {
    finish(source);
    return false;
  }
  take_lines(source, {buffer, static_cast<size_t>(got)});
  return true;
}

void PrefixOutput::take_lines(Source& source, std::string_view bytes) {
  for (size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
    source.partial.append(bytes.substr(0, end));
    take_line(source, std::move(source.partial));
    source.partial.clear();
  }
  source.partial.append(bytes);
  if (source.partial.size() >= kLineBytes) {
    take_line(source, std::move(source.partial));
    source.partial.clear();
  }
}

// Without its end.
void PrefixOutput::take_line(Source& source, std::string line) {
  if (source.filter && !source.filter(line)) return;
  if (!sinks_[source.sink].broken) sinks_[source.sink].queue.append(source.tag).append(line).append("\n");
}

void PrefixOutput::finish(Source& source) {
  if (!source.partial.empty() && !sinks_[source.sink].broken) take_lines(source, "\n");
  source.pipe.reset();
}

void PrefixOutput::write_to(Sink& sink) {
  // A pipe that poll() calls writable takes PIPE_BUF bytes without blocking, and no more is promised.
  const ssize_t written = write(sink.fd, sink.queue.data() + sink.sent, std::min<size_t>(sink.queue.size() - sink.sent, PIPE_BUF));
  if (written >= 0) {
    sink.sent += static_cast<size_t>(written);
    if (sink.sent == sink.queue.size() || sink.sent >= kQueueBytes / 2) {  // now and then: erasing moves the rest
      sink.queue.erase(0, sink.sent);
      sink.sent = 0;
    }
    return;
  }
  if (errno == EINTR || errno == EAGAIN) return;
  // Nobody reads any more. The ranks learn it as they would from the pipe itself: their next write fails.
  sink.broken = true;
  sink.queue.clear();
  sink.sent = 0;
  for (Source& source : sources_) {
    if (&sinks_[source.sink] == &sink && !source.filter) finish(source);  // a filter wants its lines in any case
  }
}

}  // namespace tutti::run
