// SPDX-License-Identifier: MIT
/// Ctrl-C: what was begun is brought to a good end, and a second one ends the program at once, but for a save.
#pragma once
#include <csignal>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace program {

/// While one lives, the first of these signals is only noted. From then on the next one ends the program as it always
/// does, or is only noted as well. Signals that are ignored, as in jobs that a script runs in the background, stay so.
class NotedSignals {
 public:
  enum class Second { ends_the_program, is_noted };
  explicit NotedSignals(std::initializer_list<int> signals = {SIGINT, SIGTERM},
                        Second second = Second::ends_the_program);
  ~NotedSignals();
  NotedSignals(const NotedSignals&) = delete;
  NotedSignals& operator=(const NotedSignals&) = delete;

 private:
  std::vector<std::pair<int, struct sigaction>> before_;
};

/// The signal that was noted, or 0.
[[nodiscard]] int interruption() noexcept;
/// Whether a signal was noted.
[[nodiscard]] bool interrupted() noexcept;
/// How many signals were noted since the program began.
[[nodiscard]] int interruptions() noexcept;
/// None was noted.
void forget_interruption() noexcept;
/// Ends the program as the signal would have, so that a shell's loop around it ends as well. Returns if there was none.
void pass_interruption_on();

/// Thrown out of a training that has stopped where it can go on.
struct Interrupted {
  std::string where;  ///< as in "after step 40 of progressive"
};

}  // namespace program
