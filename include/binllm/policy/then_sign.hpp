// SPDX-License-Identifier: MIT
/// A last stretch of training with signs alone, as a composition: of a schedule that ends early, and of an estimator
/// that backward believes in where it has become the sign.
#pragma once
#include <binllm/policy/progressive_sign.hpp>

namespace binllm {

/// t(c) = schedule(c / (1 - share)) up to c = 20 (1 - share), then infinity: the last `share` of a training sees W_b as it
/// is stored, S sgn(W).
template <Schedule H>
struct ThenSign {
  H schedule{};
  double share = 0.05;  ///< of the training, below 1
  [[nodiscard]] double operator()(double c) const {
    constexpr double rounding = 1e-9;
    const double smooth = schedule_end * (1 - share);
    if (share > 0 && c > smooth + rounding) return std::numeric_limits<double>::infinity();
    return schedule(share > 0 ? schedule_end * std::fmin(c / smooth, 1) : c);
  }
};

/// E as it is while t is finite; at t = inf, where E is the sign, the clipped straight-through estimator:
///   slope(x, inf) = 1 where |x| <= 1, else 0                                        (BNN's, arXiv 1602.02830, Eq. 4)
template <Estimator E>
struct ThenClippedSign {
  using value_type = typename E::value_type;
  using T = value_type;

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    return E::value(x, t);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    return t == std::numeric_limits<T>::infinity() ? clipped_slope(x) : E::slope(x, t);
  }
  template <class X>
  [[nodiscard]] static constexpr X clipped_slope(const X& x) {
    return formula::step(X(T(1) - formula::abs(x)));
  }
};

/// BinaryLLM's F, for a training that ends with signs alone.
template <std::floating_point T>
struct ProgressiveThenSign : ThenClippedSign<ProgressiveSign<T>> {
  static constexpr std::string_view name = "progressive-then-sign";
  static constexpr std::string_view summary = "tanh(t x) / tanh(t), and its own derivative; at t = inf slope 1 for |x| <= 1";
  using default_scale = DualScale<T>;
  using default_schedule = ExponentialSchedule;
};

static_assert(Estimator<ProgressiveThenSign<float>> && Estimator<ProgressiveThenSign<double>> &&
              Schedule<ThenSign<ExponentialSchedule>>);

}  // namespace binllm
