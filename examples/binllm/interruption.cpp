// SPDX-License-Identifier: MIT
#include "interruption.hpp"

#include <cstdio>

namespace program {

namespace {

volatile std::sig_atomic_t noted = 0, count = 0;

struct sigaction noting(NotedSignals::Second second) {
  struct sigaction action {};
  action.sa_handler = [](int signal) {
    noted = signal;
    count = count + 1;
  };
  action.sa_flags = SA_RESTART;
  if (second == NotedSignals::Second::ends_the_program) action.sa_flags |= static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  return action;
}

}  // namespace

NotedSignals::NotedSignals(std::initializer_list<int> signals, Second second) {
  const auto action = noting(second);
  for (const int signal : signals) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    before_.emplace_back(signal, before);
    sigaction(signal, &action, nullptr);
  }
}

NotedSignals::~NotedSignals() {
  for (const auto& [signal, before] : before_) sigaction(signal, &before, nullptr);
}

int interruption() noexcept { return noted; }
bool interrupted() noexcept { return noted != 0; }
int interruptions() noexcept { return count; }
void forget_interruption() noexcept { noted = 0; }

void pass_interruption_on() {
  if (!interrupted()) return;
  std::fflush(nullptr);
  std::signal(noted, SIG_DFL);
  std::raise(noted);
}

}  // namespace program
