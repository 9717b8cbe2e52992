// SPDX-License-Identifier: MIT
#include "streams.hpp"

#include <binllm/core/error.hpp>
#include <binllm/core/printable.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace program {

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest number that is free is this one. Open for the other direction: what is tried fails with EBADF.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor) return;
  }
  struct sigaction action {};
  sigaction(SIGPIPE, nullptr, &action);
  if (action.sa_handler != SIG_DFL) return;
  action.sa_handler = [](int) {};  // not SIG_IGN, which programs that are started from here would inherit
  action.sa_flags = SA_RESTART;
  sigaction(SIGPIPE, &action, nullptr);
}

std::string lost_output() {
  const bool written = std::fflush(stdout) == 0;
  const int reason = errno;
  if (written && std::ferror(stdout) == 0) return {};
  const binllm::Error error(binllm::ErrorId::write_failed, "binllm", "standard output", "a place for all results",
                            written ? "none: the disk is full, or the reader has gone" : std::strerror(reason));
  return error.what();
}

void complain(const std::string& line) { std::fprintf(stderr, "binllm: %s\n", binllm::printable(line).c_str()); }

}  // namespace program
