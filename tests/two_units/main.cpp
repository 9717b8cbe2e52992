// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

std::vector<float> one();
std::vector<float> other();

int main() {
  const std::vector<float> a = one(), b = other();
  if (a.empty() || a.size() != b.size()) {
    fmt::print("the units computed {} and {} numbers\n", a.size(), b.size());
    return 1;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    // Fused multiply-adds and wider sums may move the last bits.
    const float difference = std::abs(a[i] - b[i]), size = std::max(1.0f, std::abs(a[i]));
    if (!(difference <= 1e-4f * size)) {
      fmt::print("number {} of {}: one has {}, the other {}\n", i, a.size(), a[i], b[i]);
      return 1;
    }
  }
  fmt::print("{} numbers agree\n", a.size());
}
