// A program under test: started with pipes, talked to, waited for.
// Invariant: the program is dead and reaped when its Subprocess is.
// Threading: one thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace tutti {

struct Outcome {
  int status = -1;  // the exit status, or 128 + signal
  std::string out;  // what was not read before
  std::string err;
};

class Subprocess {
 public:
  // `environment` holds NAME=VALUE entries in addition to this process's own; `input` is given as standard input.
  explicit Subprocess(std::vector<std::string> command, const std::vector<std::string>& environment = {}, const std::string& input = "");
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;
  ~Subprocess();

  pid_t pid() const { return pid_; }
  void signal(int number) const;

  // Block until a line with `part` has come by on that stream, and return it; empty at its end.
  std::string wait_for_out(const std::string& part);
  std::string wait_for_err(const std::string& part);

  // Waits for the program's end, and for that of everything else that holds its output: returning means that nobody is left.
  Outcome finish();

 private:
  pid_t pid_ = -1;
  Fd out_;
  Fd err_;
  std::string out_text_;
  std::string err_text_;
};

// Starts `command`, finishes it, and says what came of it.
Outcome run(std::vector<std::string> command, const std::vector<std::string>& environment = {}, const std::string& input = "");

}  // namespace tutti
