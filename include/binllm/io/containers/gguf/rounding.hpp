// SPDX-License-Identifier: MIT
/// What numbers lose where they are stored.
#pragma once
#include <binllm/core/shape.hpp>

#include <cmath>
#include <cstddef>
#include <span>

namespace binllm {

/// Numbers x, and y that was stored for them.
struct Rounding {
  Index numbers = 0, changed = 0;       ///< all, and those with y != x
  double square = 0, square_error = 0;  ///< sums of x^2 and of (y - x)^2

  void add(std::span<const float> exact, std::span<const float> stored) {
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double x = static_cast<double>(exact[i]), error = static_cast<double>(stored[i]) - x;
      ++numbers;
      changed += error != 0 ? 1 : 0;
      square += x * x;
      square_error += error * error;
    }
  }
  /// |y - x| / |x|, of all numbers as one vector.
  [[nodiscard]] double relative_error() const { return square > 0 ? std::sqrt(square_error / square) : 0; }
};

}  // namespace binllm
