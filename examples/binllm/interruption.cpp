// SPDX-License-Identifier: MIT
#include "interruption.hpp"

#include <cstddef>
#include <cstdio>

namespace program {

namespace {

volatile std::sig_atomic_t noted = 0;

struct sigaction action_of(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  return action;
}

}  // namespace

NotedSignals::NotedSignals() {
  const auto action = action_of([](int signal) { noted = signal; });
  for (std::size_t i = 0; i < signals.size(); ++i) {
    sigaction(signals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler == SIG_IGN) continue;  // as of jobs that a script runs in the background
    sigaction(signals[i], &action, nullptr);
  }
}

NotedSignals::~NotedSignals() {
  for (std::size_t i = 0; i < signals.size(); ++i) sigaction(signals[i], &before_[i], nullptr);
}

bool interrupted() noexcept { return noted != 0; }

void pass_interruption_on() {
  if (!interrupted()) return;
  std::fflush(nullptr);
  std::signal(noted, SIG_DFL);
  std::raise(noted);
}

}  // namespace program
