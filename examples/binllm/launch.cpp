// SPDX-License-Identifier: MIT
#include "launch.hpp"

#include "interruption.hpp"

#include <binllm/core/error.hpp>
#include <binllm/ranks/rendezvous.hpp>
#include <binllm/ranks/socket.hpp>

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace program {

namespace {

using Clock = std::chrono::steady_clock;
/// After the first has failed: the others hear why, and end by themselves; then they are asked to; then those that are
/// stopped are ended, and at last all, when they have ended themselves: rank 0 may be saving.
constexpr binllm::RendezvousOptions own_end;
constexpr std::chrono::duration<double> until_asked{3}, until_stopped_killed{6},
    until_killed{2 * own_end.grace + own_end.saving + 2};

/// In a process that was just made: a group of its own, so that Ctrl-C reaches it through the launcher alone; and it
/// ends with the launcher.
void become_rank(binllm::Index rank, pid_t launcher) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launcher) ::_exit(1);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  if (rank != 0) ::dup2(nothing, STDOUT_FILENO);
  ::close(nothing);
}

void send_all(const std::vector<pid_t>& processes, int signal) {
  for (const pid_t process : processes)
    if (process > 0) ::kill(process, signal);
}

/// Waits for all; the status of the first that failed.
int supervise(std::vector<pid_t> processes) {
  const NotedSignals noted({SIGINT, SIGTERM}, NotedSignals::Second::is_noted);  // ranks know what a second one means
  int status = 0, passed_on = interruptions();
  Clock::time_point failed{};
  std::vector<int> sent(processes.size());
  std::vector<bool> stopped(processes.size());
  for (std::size_t running = processes.size(); running > 0;) {
    for (std::size_t i = 0; i < processes.size(); ++i) {
      pid_t& process = processes[i];
      int one = 0;
      if (process == 0) continue;
      const pid_t changed = ::waitpid(process, &one, WNOHANG | WUNTRACED | WCONTINUED);
      const bool unknown = changed < 0 && errno == ECHILD;  // somebody else has taken its status
      if (changed != process && !unknown) continue;
      if (unknown) one = W_EXITCODE(1, 0);
      stopped[i] = WIFSTOPPED(one);
      if (!WIFEXITED(one) && !WIFSIGNALED(one)) continue;
      process = 0;
      --running;
      if (one == 0 || status != 0) continue;
      status = WIFEXITED(one) ? WEXITSTATUS(one) : 128 + WTERMSIG(one);
      failed = Clock::now();
    }
    for (; passed_on < interruptions(); ++passed_on) send_all(processes, interruption());
    if (status != 0) {
      const auto since = Clock::now() - failed;
      for (std::size_t i = 0; i < processes.size(); ++i) {
        const bool too_late = since > until_killed || (stopped[i] && since > until_stopped_killed);
        const int signal = too_late ? SIGKILL : since > until_asked && !interrupted() ? SIGTERM : 0;
        if (processes[i] > 0 && signal != 0 && signal != sent[i]) ::kill(processes[i], signal);
        sent[i] = signal;
      }
    }
    if (running > 0) ::usleep(20000);
  }
  return status;
}

}  // namespace

LaunchedRank launch(binllm::Index processes) {
  const pid_t launcher = ::getpid();
  binllm::tcp::Socket listener = binllm::tcp::listen_on(0, "127.0.0.1");
  const int port = listener.port();
  std::vector<pid_t> started;
  ::signal(SIGCHLD, SIG_DFL);  // who started this program may ignore it: then there would be no status
  std::fflush(nullptr);
  for (binllm::Index rank = 0; rank < processes; ++rank) {
    const pid_t process = ::fork();
    if (process == 0) {
      become_rank(rank, launcher);
      if (rank != 0) listener = {};
      return {{rank, processes, rank, "binllm", "127.0.0.1", port}, std::move(listener)};
    }
    if (process < 0) {
      const std::string reason = std::strerror(errno);
      send_all(started, SIGKILL);
      for (const pid_t one : started) ::waitpid(one, nullptr, 0);
      throw binllm::Error(binllm::ErrorId::rank_failed, "ranks", "--devices", fmt::format("{} processes", processes),
                          fmt::format("no more than {}: {}", rank, reason));
    }
    started.push_back(process);
  }
  listener = {};  // it is that of rank 0, and ends with it
  throw Launched{supervise(std::move(started))};
}

}  // namespace program
