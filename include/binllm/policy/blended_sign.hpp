// SPDX-License-Identifier: MIT
/// Estimators that go from the identity to the sign by a blend: rivals of the progressive function.
#pragma once
#include <binllm/policy/estimator.hpp>
#include <binllm/policy/scale.hpp>
#include <binllm/policy/schedule.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace binllm {

/// t = min(c / 4, 1): up to 1 over the first fifth of a training, the 1000 of 5000 steps of Hugging Face's 1.58-bit
/// fine-tuning.
struct RampSchedule {
  static constexpr std::string_view name = "ramp";
  static constexpr std::string_view summary = "t from 0 to 1 over the first fifth";
  [[nodiscard]] double operator()(double c) const { return std::min(5 * c / schedule_end, 1.0); }
};

/// B(x, t) = x + l (sgn x - x),   l = min(t, 1)
/// slope 1: what is rounded away is a constant for backward.
template <std::floating_point T>
struct BlendedSign {
  using value_type = T;
  static constexpr std::string_view name = "linear-blend";
  static constexpr std::string_view summary = "x + t (sgn(x) - x), t up to 1; slope 1";
  using default_scale = AnalyticScale<T, Granularity::row, AnalyticGradient::detached>;
  using default_schedule = RampSchedule;

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    const T l = std::min(t, T(1));
    return (T(1) - l) * x + l * formula::sign(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X&, T) {
    return formula::splat<X>(1);
  }
};

/// Hestia's two phases (arXiv 2601.20745) as one number: t = c / 4 up to 1, the share p of what is rounded; then t = T_0
/// / T with the temperature T falling from T_0 to 0 along half a cosine, t = 2 / (1 + cos(pi s)), s from 0 to 1.
struct BlendThenAnnealSchedule {
  static constexpr std::string_view name = "blend-then-anneal";
  static constexpr std::string_view summary = "t from 0 to 1 over the first fifth, then T_0 / T with T along a cosine";
  [[nodiscard]] double operator()(double c) const {
    constexpr double rho = 0.2;
    const double share = c / schedule_end;
    if (share < rho) return share / rho;
    const double cosine = std::cos(std::numbers::pi * std::min((share - rho) / (1 - rho), 1.0));
    return cosine <= -1 ? std::numeric_limits<double>::infinity() : 2 / (1 + cosine);
  }
};

/// Softmax rounding to {-1, +1} at a temperature T is tanh(2 x / T): sum_k c_k softmax_k(-(x - c_k)^2 / T).
///   H(x, t) = (1 - p) x + p tanh(2 x / T),   p = min(t, 1),   T = T_0 / max(t, 1)
///   H'      = (1 - p) + p (2 / T) (1 - tanh^2(2 x / T)), the derivative; 1 at t = inf, where Hestia ends straight-through
/// T_0 = 1.34 makes the softest rounding nearest to x for Gaussian weights.
template <std::floating_point T>
struct SoftmaxRounding {
  using value_type = T;
  static constexpr std::string_view name = "softmax-rounding";
  static constexpr std::string_view summary = "x, then tanh(2 x / T) as T falls, Hestia's, and its own derivative";
  using default_scale = AnalyticScale<T>;
  using default_schedule = BlendThenAnnealSchedule;
  static constexpr T infinity = std::numeric_limits<T>::infinity();

  /// 2 / T, finite
  [[nodiscard]] static constexpr T steepness(T t) {
    return T(2 / 1.34) * std::clamp(t, T(1), std::numeric_limits<T>::max() / 2);
  }
  [[nodiscard]] static constexpr T rounded_share(T t) { return std::min(t, T(1)); }

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    const T p = rounded_share(t);
    if (t == infinity) return formula::sign(x);
    return (T(1) - p) * x + p * formula::tanh(X(steepness(t) * x));
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    const T p = rounded_share(t), k = steepness(t);
    if (t == infinity) return formula::splat<X>(1);
    return (T(1) - p) + p * k * (T(1) - formula::square(formula::tanh(X(k * x))));
  }
};

static_assert(Estimator<BlendedSign<float>> && Estimator<SoftmaxRounding<float>> && Schedule<RampSchedule> &&
              Schedule<BlendThenAnnealSchedule>);

}  // namespace binllm
