// SPDX-License-Identifier: MIT
/// The schedule whose steps are equal in what they change of the weights, and the family that it heads.
#pragma once
#include <binllm/policy/schedule.hpp>

#include <algorithm>

namespace binllm {

/// The relative error that F leaves in a Gaussian weight, x = W / S_a and S_a = mean |W|:
///   D(t) = E (F(x, t) - x)^2 / E x^2,   x ~ N(0, pi / 2);   from D(0) = 0 to D(inf) = 1 - 2 / pi
/// by Simpson's rule in s, x = x_max s^3, whose points crowd where F bends.
[[nodiscard]] inline double progressive_error(double t) {
  constexpr double variance = std::numbers::pi / 2;
  constexpr int intervals = 400;
  const double farthest = 8 * std::sqrt(variance);
  double sum = 0;
  for (int i = 0; i <= intervals; ++i) {
    const double s = static_cast<double>(i) / intervals, x = farthest * s * s * s;
    const double f = t < 1e-8 ? x : std::isinf(t) ? (x > 0 ? 1.0 : 0.0) : std::tanh(t * x) / std::tanh(t);
    const double weight = i == 0 || i == intervals ? 1 : i % 2 == 1 ? 4 : 2;
    sum += weight * (f - x) * (f - x) * std::exp(-x * x / (2 * variance)) * 3 * farthest * s * s;
  }
  const double density = std::sqrt(2 / (std::numbers::pi * variance));  // of |x|
  return sum * density / (3 * intervals) / variance;
}

/// D(t(c)) = D(first) + (D(last) - D(first)) (c / 20)^exponent,   solved for t(c)
/// Exponent 1 takes equal steps of error. Smaller ones hurry: the paper's exponential schedule has 1 at its first chunk,
/// 0.38 at its third, 0.14 at its tenth of twenty.
struct EqualErrorSchedule {
  static constexpr std::string_view name = "equal-error", parameter = "[:EXPONENT[:FIRST[:LAST]]]";
  static constexpr std::string_view summary = "steps of F's error in Gaussian weights, equal where EXPONENT is 1";
  double exponent = 1, first = 0, last = last_sharpness;

  template <class V, class Self>
  static constexpr void visit(V&& v, Self& self) {
    v("exponent", self.exponent, "of c / 20", above(0));
    v("first", self.first, "t where c is 0", between(0, most_sharpness));
    v("last", self.last, "t where c is 20", between(0, most_sharpness));
  }
  [[nodiscard]] double operator()(double c) const {
    const double from = progressive_error(first), to = progressive_error(last);
    const double wanted = from + (to - from) * std::pow(std::max(c, 0.0) / schedule_end, exponent);
    if (c <= 0 || c >= schedule_end) return c <= 0 ? first : last;
    double low = std::min(first, last), high = std::max(first, last);  // the error grows with t
    for (int halving = 0; halving < 60; ++halving) {
      const double middle = (low + high) / 2;
      (progressive_error(middle) < wanted ? low : high) = middle;
    }
    return low;
  }
};

static_assert(Schedule<EqualErrorSchedule>);

}  // namespace binllm
