#include "tests/api/trap_system_calls.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace tutti::test {
namespace {

volatile sig_atomic_t trapped = 0;
volatile sig_atomic_t first = -1;

// seccomp has set the result register to the call's number; a program reads that as a strange success. It has to read ENOSYS.
void on_trap(int, siginfo_t* info, void* context) {
  trapped = trapped + 1;
  if (first < 0) first = info->si_syscall;
  auto* const user = static_cast<ucontext_t*>(context);
#if defined(__x86_64__)
  user->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__aarch64__)
  user->uc_mcontext.regs[0] = static_cast<unsigned long long>(-ENOSYS);
#else
  (void)user;
#endif
}

}  // namespace

bool trap_system_calls() {
  struct sigaction action = {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (sigaction(SIGSYS, &action, nullptr) != 0) return false;
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int trapped_system_calls() {
  return trapped;
}
int first_trapped_system_call() {
  return first;
}

}  // namespace tutti::test
