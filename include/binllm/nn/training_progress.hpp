// SPDX-License-Identifier: MIT
/// Where a training stands, and the number that linear layers read as t there.
#pragma once
#include <binllm/core/shape.hpp>
#include <binllm/policy/schedule.hpp>

namespace binllm {

/// What is known before a step.
struct TrainingProgress {
  Index step = 0, steps = 1;    ///< this step, from 0, of so many
  Index chunk = 1, chunks = 1;  ///< this chunk of equal data, from 1, of so many

  /// 0 at the first step, just below 1 at the last one.
  [[nodiscard]] double share() const { return static_cast<double>(step) / static_cast<double>(steps); }
  /// c in [0, 20], constant inside a chunk.
  [[nodiscard]] double c() const { return schedule_end * static_cast<double>(chunk) / static_cast<double>(chunks); }
};

/// t of a step for models of this format: what the format says of the progress, else its schedule at the chunk's c; 0
/// where layers read no such number.
template <class F>
[[nodiscard]] double sharpness_at([[maybe_unused]] const F& format, [[maybe_unused]] const TrainingProgress& progress) {
  if constexpr (requires { format.sharpness(progress); }) {
    return format.sharpness(progress);
  } else if constexpr (requires { format.schedule(0.0); }) {
    return format.schedule(progress.c());
  } else {
    return 0;
  }
}

}  // namespace binllm
