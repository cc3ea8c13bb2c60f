// tutti-run --prefix-output: carries the ranks' output to tutti-run's own, line by line, each behind its rank ("[3] ...").
// Invariant: what reaches stdout and stderr are whole lines; a line of one rank is never broken by another's.
// It never blocks: it reads and writes only what poll() says is ready, so that a stalled reader (a pager) does not keep tutti-run from
// its signals. A sink that is a megabyte behind stops the reading, which in the end stops the ranks, as a plain pipe would.
// Threading: one thread.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace tutti::run {

class PrefixOutput {
 public:
  PrefixOutput();

  // Takes over a rank's pipe. `target` is STDOUT_FILENO or STDERR_FILENO.
  void add(int rank, Fd pipe, int target);

  // A remote host's pipe, whose lines come as they are to be shown. `filter` gets every line and takes out of it what is not for the
  // reader; it returns whether any of it is. The pipe is non-blocking.
  using Filter = std::function<bool(std::string& line)>;
  void add_remote(Fd pipe, int target, Filter filter);
  // Reads what the remote hosts' pipes hold by now.
  void drain_remote();

  // A line of tutti-run's own, without its end, for stderr.
  void say(const std::string& message);

  // Appends what poll() should watch; hand the same entries, polled, to handle().
  void watch(std::vector<pollfd>& polls) const;
  void handle(const pollfd* polls, size_t count);

  // Something may still arrive / wait to be written.
  bool open() const;
  bool pending() const;

  // Forgets the pipes: their lines so far are queued, what is written into them later is lost.
  void close_pipes();

 private:
  struct Source {
    std::string tag;
    Fd pipe;
    size_t sink;
    std::string partial;  // a line without its end yet
    Filter filter;
  };
  struct Sink {
    int fd;
    std::string queue;
    size_t sent = 0;      // of the queue
    bool broken = false;  // nobody reads it any more
  };

  bool read_from(Source& source);
  void write_to(Sink& sink);
  void take_lines(Source& source, std::string_view bytes);
  void take_line(Source& source, std::string line);
  void finish(Source& source);

  std::vector<Source> sources_;
  std::vector<Sink> sinks_;
};

}  // namespace tutti::run
