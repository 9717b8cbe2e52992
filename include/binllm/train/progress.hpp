// SPDX-License-Identifier: MIT
/// Who hears of a training: a function of your own, or a line on the terminal.
#pragma once
#include <binllm/simd/tuned_build.hpp>
#include <binllm/train/run.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

namespace binllm {

/// Calls f(phase, step, steps, metrics) for every report:
///
///     OnReport log([](auto phase, auto step, auto steps, auto metrics) { ... });
///     pretrain(model, corpus, options, nullptr, &log);
template <class F>
class OnReport final : public RunLog {
 public:
  explicit OnReport(F function) : function_(std::move(function)) {}
  void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override {
    function_(phase, step, steps, metrics);
  }

 private:
  F function_;
};

/// One live line on standard error: phase, step, loss, speed. Before the first one, why the program is slower than it
/// need be, where it is.
class TerminalProgress final : public RunLog {
 public:
  /// "progressive 20/400   loss 1.2345   5120 tokens/s"
  [[nodiscard]] static std::string line(std::string_view phase, Index step, Index steps,
                                        std::span<const Metric> metrics) {
    std::string text = message("{} {}/{}", phase, step, steps);
    for (const Metric& metric : metrics) {
      char part[400] = "";  // a double has up to 309 digits before the point
      if (metric.name == "loss") std::snprintf(part, sizeof(part), "   loss %.4f", metric.value);
      if (metric.name == "tokens_per_second") std::snprintf(part, sizeof(part), "   %.0f tokens/s", metric.value);
      text += part;
    }
    return text;
  }
  void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override {
    if (const std::string reason = first_ ? slow_build_reason() : std::string(); !reason.empty())
      std::fputs((reason + "\n").c_str(), stderr);
    first_ = false;
    std::fputs(("\r\x1b[K" + line(phase, step, steps, metrics) + (step == steps ? "\n" : "")).c_str(), stderr);
    std::fflush(stderr);
    live_ = step != steps;
  }
  ~TerminalProgress() override {
    if (live_) std::fputc('\n', stderr);
  }
  TerminalProgress() = default;
  TerminalProgress(const TerminalProgress&) = delete;
  TerminalProgress& operator=(const TerminalProgress&) = delete;

 private:
  bool live_ = false, first_ = true;
};

/// The log that was chosen; without one, a line on a terminal, and elsewhere silence.
class LogOrTerminal {
 public:
  explicit LogOrTerminal(RunLog* chosen)
      : log_(chosen != nullptr              ? *chosen
             : ::isatty(STDERR_FILENO) != 0 ? static_cast<RunLog&>(terminal_)
                                            : silent_) {}
  LogOrTerminal(const LogOrTerminal&) = delete;
  LogOrTerminal& operator=(const LogOrTerminal&) = delete;
  [[nodiscard]] RunLog& operator*() const noexcept { return log_; }

 private:
  RunLog silent_;
  TerminalProgress terminal_;
  RunLog& log_;
};

}  // namespace binllm
