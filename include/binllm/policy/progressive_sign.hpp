// SPDX-License-Identifier: MIT
/// The consistent progressive function of BinaryLLM.
#pragma once
#include <binllm/policy/estimator.hpp>
#include <binllm/policy/scale.hpp>
#include <binllm/policy/schedule.hpp>

#include <cmath>

namespace binllm {

/// F(x, t)  = tanh(t x) / tanh(t)                 (Eq. 4, 6)
/// F'(x, t) = t (1 - tanh^2(t x)) / tanh(t)       (Eq. 5)
/// the same function forward and backward, from the identity (t = 0) to sgn (t = inf).
/// F(+-1, t) = +-1 for every t;  |F| <= max(|x|, 1),  0 <= F' <= t / tanh(t).
/// This is the definition; kernels run ops/fast/progressive_sign.hpp.
template <std::floating_point T>
struct ProgressiveSign {
  using value_type = T;
  static constexpr std::string_view name = "progressive";
  static constexpr std::string_view summary = "tanh(t x) / tanh(t), and its own derivative";
  using default_scale = DualScale<T>;
  using default_schedule = ExponentialSchedule;
  static constexpr T infinity = std::numeric_limits<T>::infinity();

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    const X smooth = formula::tanh(X(t * x)) / std::tanh(t);
    return t == 0 ? x : t == infinity ? formula::sign(x) : smooth;
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    const X smooth = t * (T(1) - formula::square(formula::tanh(X(t * x)))) / std::tanh(t);
    return t == 0 ? formula::splat<X>(1) : t == infinity ? formula::splat<X>(0) : smooth;
  }
};

static_assert(Estimator<ProgressiveSign<float>> && Estimator<ProgressiveSign<double>>);

}  // namespace binllm
