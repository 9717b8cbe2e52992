// SPDX-License-Identifier: MIT
/// Time that passes. `<chrono>` would do, and costs every unit a tenth of <Eigen/Dense> to parse.
#pragma once
#include <ctime>

namespace binllm {

/// Seconds since some moment in the past, on a clock that nobody sets.
[[nodiscard]] inline double steady_seconds() noexcept {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace binllm
