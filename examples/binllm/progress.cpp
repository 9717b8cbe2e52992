// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include <binllm/core/printable.hpp>

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace program {

namespace {

std::string duration(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(binllm::RunLog* next, bool quiet)
    : next_(next), quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { end_live_line(); }

bool Progress::wants_checkpoint(binllm::Index step, binllm::Index steps) {
  return next_ != nullptr && (interrupted() || next_->wants_checkpoint(step, steps));
}

void Progress::save(std::string_view phase, const binllm::TrainingState& state) {
  if (next_ == nullptr) return;
  {
    // Whoever presses Ctrl-C once more, because a step takes long, must not lose what is being saved.
    const NotedSignals until_saved({SIGINT, SIGTERM}, NotedSignals::Second::is_noted);
    next_->save(phase, state);
  }
  if (!interrupted()) return;
  end_live_line();
  std::string where(phase);
  for (const auto& counter : state.counters) {
    if (counter.name == "step") where = fmt::format("after step {} of {}", *counter.value, phase);
  }
  throw Interrupted{where};
}

void Progress::end_live_line() {
  if (live_) std::fputs("\n", stderr);
  live_ = false;
}

void Progress::say(const std::string& line) {
  if (quiet_) return;
  end_live_line();
  std::fprintf(stderr, "%s\n", binllm::printable(line).c_str());
}

void Progress::report(std::string_view phase, binllm::Index step, binllm::Index steps,
                      std::span<const binllm::Metric> metrics) {
  if (next_ != nullptr) next_->report(phase, step, steps, metrics);
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  if (phase_ != phase) {
    end_live_line();
    phase_ = phase;
    first_step_ = step;
    start_ = shown_ = now;
  } else if (!terminal_ && step < steps && now - shown_ < std::chrono::seconds(10)) {
    return;  // a log file wants a line now and then, not a flood
  }
  shown_ = now;
  std::string line = fmt::format("{:<13} {:>6}/{}", phase, step, steps);
  for (const auto& [name, value] : metrics) {
    if (name == "tokens_per_second") line += fmt::format("  {:.0f} tokens/s", value);
    if (name == "loss") line += fmt::format("  loss {:.4f}", value);
    if (name == "t" && value > 0) line += fmt::format("  t {:.3g}", value);
    if (name.starts_with("validation")) line += fmt::format("  {} {:.4f}", name, value);
  }
  if (step > first_step_ && step < steps) {
    const double seconds = std::chrono::duration<double>(now - start_).count();
    line += fmt::format(
        "  {} left", duration(seconds / static_cast<double>(step - first_step_) * static_cast<double>(steps - step)));
  }
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    live_ = true;
    if (step == steps) end_live_line();
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace program
