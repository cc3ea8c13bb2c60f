// tutti-run on another host: tutti-run starts `TUTTI_RSH HOST "exec /path/of/tutti-run --agent"` and tells it over standard input what to
// run. Thus no argument list on either side holds anything but that path: not the job's unique id, nor the program's environment.
//
//   agent <- order    what to start, in counted strings
//   agent <- signals  "signal N\n" for every signal to hand on; end of file: tutti-run has gone, end the ranks
//   agent -> notices  on standard error, behind a mark: all ranks are started; a rank failed; all ranks have ended
//
// The ranks' output is the agent's own, which the remote shell carries to tutti-run.
// Threading: tutti-run's main thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace tutti::run {

struct AgentOrder {
  int ranks = 1;  // of the whole job
  int first = 0;
  int count = 1;
  std::string pin;
  bool keep_going = false;
  bool prefix_output = false;
  std::string unique_id_hex;
  std::string folder;
  std::vector<std::string> command;
  std::vector<std::string> environment;  // NAME=VALUE, over what the remote shell gives
};

std::string encode_order(const AgentOrder& order);
// Blocks until the order is there, for at most a minute; reads not a byte more. Errors: kInvalidArgument (this is no order, or one of
// another version's), kTimeout.
Result<AgentOrder> read_order(int fd);

struct Notice {
  enum class Kind { kStarted, kFailed, kDone } kind = Kind::kStarted;
  int rank = 0;  // of kFailed
  int wait_status = 0;
};

std::string encode_notice(const Notice& notice);  // a line, its end included
// A line of the agent's standard error, without its end. A notice is cut off `line`, what a rank wrote before it is left.
std::optional<Notice> take_notice(std::string& line);

// What to exec for the agent on `host`. Errors: kInvalidArgument (TUTTI_RSH's program is not found).
Result<std::vector<std::string>> remote_command(const std::string& host);

// What of this process's environment goes along: TUTTI_ variables, LD_LIBRARY_PATH, and `names`. Errors: kInvalidArgument (a name that is
// not set).
Result<std::vector<std::string>> carried_environment(const std::vector<std::string>& names);

}  // namespace tutti::run
