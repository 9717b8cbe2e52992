// SPDX-License-Identifier: MIT
/// Estimators with sgn in forward, the baselines of the paper, and the ablation with F in forward alone.
#pragma once
#include <binllm/policy/progressive_sign.hpp>

#include <algorithm>

namespace binllm {

/// Vanilla straight-through: sgn forward, slope 1 (Eq. 2). With a detached analytic scale dL/dW = dL/dW_b.
template <std::floating_point T>
struct StraightThrough {
  using value_type = T;
  static constexpr std::string_view name = "vanilla";
  static constexpr std::string_view summary = "sgn(x), slope 1, whatever t";
  using default_scale = AnalyticScale<T, Granularity::row, AnalyticGradient::detached>;
  using default_schedule = ConstantSchedule;

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T) {
    return formula::sign(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X&, T) {
    return formula::splat<X>(1);
  }
};

/// IR-Net's error decay estimator (arXiv 1909.10788): sgn forward, slope k t (1 - tanh^2(t x)) with k = max(1/t, 1),
/// written so that t = 0 is legal.
template <std::floating_point T>
struct ErrorDecay {
  using value_type = T;
  static constexpr std::string_view name = "ede";
  static constexpr std::string_view summary = "sgn(x), slope max(1, t) (1 - tanh^2(t x)), IR-Net's";
  using default_scale = AnalyticScale<T, Granularity::row, AnalyticGradient::detached>;
  using default_schedule = GeometricSchedule;

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T) {
    return formula::sign(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    const X smooth = std::max(T(1), t) * (T(1) - formula::square(formula::tanh(X(t * x))));
    return t == std::numeric_limits<T>::infinity() ? formula::splat<X>(0) : smooth;
  }
};

/// Ablation: F forward as ProgressiveSign, slope 1 backward, so forward and backward disagree.
template <std::floating_point T>
struct ProgressiveForward {
  using value_type = T;
  static constexpr std::string_view name = "progressive-forward";
  static constexpr std::string_view summary = "tanh(t x) / tanh(t), slope 1: an ablation";
  using default_scale = DualScale<T>;
  using default_schedule = ExponentialSchedule;

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    return ProgressiveSign<T>::value(x, t);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X&, T) {
    return formula::splat<X>(1);
  }
};

static_assert(Estimator<StraightThrough<float>> && Estimator<ErrorDecay<float>> &&
              Estimator<ProgressiveForward<float>>);

}  // namespace binllm
