// SPDX-License-Identifier: MIT
/// A smallest estimator with constants of t.
#pragma once

namespace binllm::test {

/// E(x, t) = (1 + t) x, with constants of t, and formulas of scalars alone.
struct Scaled {
  using value_type = double;
  struct At {
    double factor;
    double value(double x) const { return factor * x; }
    double slope(double) const { return factor; }
  };
  static At at(double t) { return {1 + t}; }
  static double value(double x, double t) { return at(t).value(x); }
  static double slope(double x, double t) { return at(t).slope(x); }
};

}  // namespace binllm::test
