// SPDX-License-Identifier: MIT
#include "interruption.hpp"

#include <csignal>
#include <cstdio>

namespace program {

namespace {

volatile std::sig_atomic_t noted = 0;

struct sigaction action_of(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  return action;
}

}  // namespace

void note_interruption() {
  struct sigaction before {};
  sigaction(SIGINT, nullptr, &before);
  if (before.sa_handler == SIG_IGN) return;  // as of jobs that a script runs in the background
  const auto action = action_of([](int) { noted = 1; }, SA_RESTART | static_cast<int>(SA_RESETHAND));
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() noexcept { return noted != 0; }

void pass_interruption_on() {
  if (!interrupted()) return;
  std::fflush(nullptr);
  std::raise(SIGINT);  // the handler has reset itself
}

}  // namespace program
