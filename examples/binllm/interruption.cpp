// SPDX-License-Identifier: MIT
#include "interruption.hpp"

#include <csignal>
#include <cstdio>

namespace program {

namespace {

volatile std::sig_atomic_t noted = 0;

/// Unless it is ignored.
void on_interruption(void (*handler)(int), int flags) {
  struct sigaction action {};
  sigaction(SIGINT, nullptr, &action);
  if (action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

void note_interruptions() {
  on_interruption([](int) { noted = 1; }, SA_RESTART | static_cast<int>(SA_RESETHAND));
}

bool interrupted() noexcept { return noted != 0; }

void forget_interruptions() {
  on_interruption(SIG_DFL, 0);
  noted = 0;
}

void pass_interruption_on() {
  if (!interrupted()) return;
  std::fflush(nullptr);
  std::raise(SIGINT);  // the handler has reset itself
}

}  // namespace program
