// SPDX-License-Identifier: MIT
/// Ctrl-C: what was begun is brought to a good end, and a second one ends the program at once.
#pragma once
#include <array>
#include <csignal>
#include <string>

namespace program {

/// While one lives, the first SIGINT or SIGTERM is only noted. From then on the next one ends the program as it always
/// does.
class NotedSignals {
 public:
  NotedSignals();
  ~NotedSignals();
  NotedSignals(const NotedSignals&) = delete;
  NotedSignals& operator=(const NotedSignals&) = delete;

 private:
  static constexpr std::array signals{SIGINT, SIGTERM};
  std::array<struct sigaction, signals.size()> before_{};
};

/// Whether a signal was noted.
[[nodiscard]] bool interrupted() noexcept;
/// Ends the program as the signal would have, so that a shell's loop around it ends as well. Returns if there was none.
void pass_interruption_on();

/// Thrown out of a training that has stopped where it can go on.
struct Interrupted {
  std::string where;  ///< as in "after step 40 of progressive"
};

}  // namespace program
