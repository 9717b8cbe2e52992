// SPDX-License-Identifier: MIT
/// The consistent progressive function of BinaryLLM.
#pragma once
#include <binllm/policy/estimator.hpp>

#include <cmath>

namespace binllm {

/// F(x, t) = tanh(t x) / tanh(t)                          (Eq. 4, 6)
/// F'(x, t) = t (1 - tanh^2(t x)) / tanh(t)               (Eq. 5)
/// the same function forward and backward, from the identity (t = 0) to sgn (t = inf).
/// F(+-1, t) = +-1 for every t;  |F| <= max(|x|, 1),  0 <= F' <= t / tanh(t).
template <std::floating_point T>
struct ProgressiveSign {
  using value_type = T;
  static constexpr T identity_below = T(1e-15);  ///< where t is so small that t x would underflow before F leaves x

  template <class X>
  [[nodiscard]] static X value(const X& x, T t) {
    if (t < identity_below) return x;
    if (t == std::numeric_limits<T>::infinity()) return formula::sign(x);
    return formula::tanh(X(t * x)) * (T(1) / std::tanh(t));
  }
  template <class X>
  [[nodiscard]] static X slope(const X& x, T t) {
    if (t < identity_below) return formula::splat<X>(T(1));
    if (t == std::numeric_limits<T>::infinity()) return formula::splat<X>(T(0));
    return formula::sech_squared(X(t * x)) * (t / std::tanh(t));
  }
};

static_assert(Estimator<ProgressiveSign<float>> && Estimator<ProgressiveSign<double>>);

}  // namespace binllm
