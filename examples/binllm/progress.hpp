// SPDX-License-Identifier: MIT
/// One live line with the time left on a terminal, plain lines otherwise.
#pragma once
#include "interruption.hpp"

#include <binllm/train/run.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace program {

/// Shows reports on standard error and hands everything on to the run folder. A noted signal stops a training that has
/// one, once its state is saved: then `save` throws Interrupted.
class Progress : public binllm::RunLog {
 public:
  /// `quiet` shows nothing; `next` may be null.
  Progress(binllm::RunLog* next, bool quiet);
  ~Progress() override;

  void report(std::string_view phase, binllm::Index step, binllm::Index steps,
              std::span<const binllm::Metric> metrics) override;
  [[nodiscard]] bool wants_checkpoint(binllm::Index step, binllm::Index steps) override;
  void save(std::string_view phase, const binllm::TrainingState& state) override;
  [[nodiscard]] std::string wants_look(binllm::Index step, binllm::Index steps) override {
    return next_ == nullptr ? std::string() : next_->wants_look(step, steps);
  }
  void look(std::string_view phase, const binllm::TrainingState& state) override {
    if (next_ != nullptr) next_->look(phase, state);
  }
  [[nodiscard]] bool restore(std::string_view phase, binllm::TrainingState& state) override {
    return next_ != nullptr && next_->restore(phase, state);
  }
  /// Calls train(this), which the first signal stops where it can go on, by Interrupted; without a run folder a signal
  /// ends the program at once.
  template <class F>
  auto interruptible(const F& train) {
    std::optional<NotedSignals> noting;
    if (next_ != nullptr) noting.emplace();
    const auto result = train(this);
    pass_interruption_on();  // it came too late to stop anything
    return result;
  }
  /// A line that stays.
  void say(const std::string& line);

 private:
  void end_live_line();

  binllm::RunLog* next_;
  bool quiet_, terminal_, live_ = false;
  std::string phase_;
  binllm::Index first_step_ = 0;
  std::chrono::steady_clock::time_point start_, shown_;
};

}  // namespace program
