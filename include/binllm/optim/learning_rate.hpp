// SPDX-License-Identifier: MIT
/// Learning rate over a run.
#pragma once
#include <binllm/core/shape.hpp>

#include <cmath>
#include <numbers>

namespace binllm {

/// Linear warm-up to `peak`, then half a cosine down to `last` at the final step.
struct CosineLearningRate {
  double peak = 1e-4, last = 2e-6;
  Index warmup = 0, steps = 1;

  /// Of step 0, 1, ..., steps - 1.
  [[nodiscard]] double operator()(Index step) const {
    if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
    const Index span = steps - 1 - warmup;
    const double progress = span <= 0 ? 1.0 : static_cast<double>(step - warmup) / static_cast<double>(span);
    return last + (peak - last) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
};

}  // namespace binllm
